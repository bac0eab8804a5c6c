"""`peftcli params`: exact counts as a table or JSON, from the architecture's numbers alone. No torch."""

import json
from typing import Annotated, Any

import typer

from peftcli.cli import completion
from peftcli.cli.options import AsJson, OptionalRecipe, SetOption
from peftcli.errors import UserError


def params(
    recipe: OptionalRecipe = None,
    model: Annotated[
        str | None, typer.Option(help="Instead of a recipe: a model …", autocompletion=completion.models)
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(help="… and a strategy.", autocompletion=completion.strategies)
    ] = None,
    labels: Annotated[int | None, typer.Option(min=1, help="Outputs of the head.  [2]")] = None,
    overrides: SetOption = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Count parameters exactly, from the architecture's numbers alone."""
    from peftcli.cli.recipes import load
    from peftcli.report import parameters

    # Exactly one of the two ways; with one of --model and --strategy the other has a default.
    if (recipe is None) == (model is None and strategy is None):
        raise UserError("params takes a RECIPE, or --model and --strategy")
    if recipe is not None:
        loaded = load(recipe, overrides)
        counted, rows = loaded.model, parameters.rows(loaded, labels)
    else:
        counted = model or "bert-base-uncased"
        rows = [_row(counted, strategy or "full", labels or 2, overrides)]
    print(json.dumps(rows, indent=1) if as_json else "\n".join([_text(rows), *_left_out(counted)]))


def _row(model: str, strategy: str, labels: int, overrides: list[str]) -> dict[str, Any]:
    """Count one strategy on a model: a row with the keys that a recipe's rows have. Raises UserError."""
    from peftcli.experiment import parameters
    from peftcli.experiment.notation import parse_strategy
    from peftcli.experiment.recipe import parse_set
    from peftcli.strategies import registry

    name, options = next(iter(parse_strategy(strategy).items()))
    settings = parse_set(overrides)
    style = settings.pop("head", "stock")
    if settings:
        raise UserError(f"params without a recipe counts with --set head=… alone, not {next(iter(settings))!r}")
    checked = registry.get(name).options(options)
    # One output is a regression's; of the kinds with labels any would do, since they have the same head.
    counts = parameters.count(model, name, checked, "pair" if labels > 1 else "regression", labels, style)
    return {
        "strategy": name,
        "options": checked,
        "label": strategy,
        "total": counts.total,
        "trainable": counts.trainable,
        "head": counts.head,
        "trainable_percent": counts.trainable_percent,
        "note": "",
    }


def _left_out(model: str) -> list[str]:
    """What the published number of a decoder's parameters may have besides: a line to print, or none."""
    from peftcli.models import catalogue
    from peftcli.models.tensors import architecture

    if not architecture(str(catalogue.config(model)["model_type"])).decoder:
        return []
    return [f"{model}: its language-model head is neither loaded nor counted; embeddings that it shares count once"]


def _text(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'strategy':<40}{'trainable':>14}{'head':>9}{'with head':>14}{'total':>14}{'percent':>10}{'printed':>11}"
    ]
    for row in rows:
        both, percent = row["trainable"] + row["head"], row["trainable_percent"]
        # Below a hundredth of a percent two decimals would say nothing.
        decimals = 2 if percent >= 0.01 or percent == 0 else 4
        lines.append(
            f"{row['label'][:39]:<40}{row['trainable']:>14,}{row['head']:>9,}{both:>14,}{row['total']:>14,}"
            f"{percent:>10.{decimals}f}{_printed(row):>11}".rstrip()
        )
    notes = [f"{row['label']}: {row['note']}" for row in rows if row["note"]]
    return "\n".join([*lines, *notes])


def _printed(row: dict[str, Any]) -> str:
    """What the paper printed of the strategy: a percentage, or millions with the head."""
    if row.get("published_millions") is not None:
        return f"{row['published_millions']:.2f} M"
    return "" if row.get("published_percent") is None else f"{row['published_percent']:g}"
