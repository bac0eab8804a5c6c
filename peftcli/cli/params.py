"""What `peftcli params` shows: exact counts as a table or JSON. No torch."""

import json
from typing import Any

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.recipe import find, load, parse_set, parse_strategy
from peftcli.report import parameters as parameter_rows
from peftcli.strategies import registry


def show(
    recipe: str | None, model: str | None, strategy: str | None, labels: int | None, overrides: list[str], as_json: bool
) -> str:
    """Count a recipe's strategies, or one strategy on a model. Raises UserError."""
    if (recipe is None) == (model is None and strategy is None):
        raise UserError("params takes a RECIPE, or --model and --strategy")
    if recipe is not None:
        found = parameter_rows.rows(load(find(recipe), parse_set(overrides)), labels)
    else:
        found = [_one(model or "bert-base-uncased", strategy or "full", labels or 2, overrides)]
    return json.dumps(found, indent=1) if as_json else _text(found)


def _one(model: str, strategy: str, labels: int, overrides: list[str]) -> dict[str, Any]:
    name, options = next(iter(parse_strategy(strategy).items()))
    settings = parse_set(overrides)
    style = settings.pop("head", "stock")
    if settings:
        raise UserError(f"params without a recipe counts with --set head=… alone, not {next(iter(settings))!r}")
    known = registry.get(name).options(options)
    counts = parameters.count(model, name, known, "pair" if labels > 1 else "regression", labels, style)
    return {
        "strategy": name,
        "options": known,
        "label": strategy,
        "total": counts.total,
        "trainable": counts.trainable,
        "head": counts.head,
        "trainable_percent": counts.trainable_percent,
        "note": "",
    }


def _text(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'strategy':<40}{'trainable':>14}{'head':>9}{'with head':>14}{'total':>14}{'percent':>10}{'printed':>11}"
    ]
    for row in rows:
        both = row["trainable"] + row["head"]
        lines.append(
            f"{row['label'][:39]:<40}{row['trainable']:>14,}{row['head']:>9,}{both:>14,}{row['total']:>14,}"
            f"{_percent(row['trainable_percent']):>10}{_printed(row):>11}".rstrip()
        )
    notes = [f"{row['label']}: {row['note']}" for row in rows if row["note"]]
    return "\n".join([*lines, *notes])


def _printed(row: dict[str, Any]) -> str:
    """What the paper printed of the strategy: a percentage, or millions with the head."""
    if row.get("published_millions") is not None:
        return f"{row['published_millions']:.2f} M"
    return "" if row.get("published_percent") is None else f"{row['published_percent']:g}"


def _percent(share: float) -> str:
    return f"{share:.2f}" if share >= 0.01 or share == 0 else f"{share:.4f}"
