"""Make `docs/recipes.md` and `recipes/recipe.schema.json` from the models that check recipes: `make docs`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from peftcli.experiment.plan import defaults
from peftcli.report.schema import recipe_schema

ROOT = Path(__file__).parents[1]
REFERENCE, SCHEMA = ROOT / "docs/recipes.md", ROOT / "recipes/recipe.schema.json"

SETTINGS = {  # training settings in the order of a run: what a learner looks for together stands together
    "Optimizer": "optimizer betas epsilon weight_decay weight_decay_spares max_grad_norm precision compile",
    "Learning rate": "schedule warmup_ratio schedule_epochs",
    "Length": "epochs steps minimum_steps batch_size accumulate checkpoint_activations",
    "Texts": "max_length overlong template read_word",
    "Examples": "max_train_samples drop_examples train_size validation_share validation_split validation_limit",
    "Evaluation": "evaluate_every evaluate_train metric early_stopping restore_best ties",
    "Model": "head dropout dropout_until",
}
LINKS = {  # what a type in a table leads to
    "training": "[training settings](#training-settings)",
    "table": "[a table](#table)",
    "task": "[tasks](#tasks)",
    "strategy": "[strategies](#strategies)",
    "claim": "[claims](#claims)",
}

INTRODUCTION = """\
# What a recipe says

A recipe is a YAML file: a model, tasks, strategies, learning rates and seeds, how to train, and the table and figures
that the runs fill. `peftcli plan RECIPE` shows what would run, `peftcli sweep RECIPE` runs it, `peftcli report RECIPE`
makes the table.

This page and `recipes/recipe.schema.json` are made from the program's own models (`make docs`). An editor that reads the
first line of a shipped recipe, `# yaml-language-server: $schema=…`, completes keys and marks mistakes while you type.

A key without a default must be said: by the recipe, or by the one that it extends.
"""
TASKS = """\
A task is written in one of three ways:

```yaml
tasks:
  - rte                                       # its name
  - cola: {label: CoLA, seeds: 5}             # its name, and what holds for it alone
  - {name: mine, data: folder, text: [a, b]}  # files of your own, described
```

With a known task, these keys can be said; of a described one all but `label`:
"""
STRATEGIES = """\
A strategy is written in one of three ways:

```yaml
strategies:
  - bitfit                                    # its name
  - layernorm:layers=5-8,embedding=true       # its name and options, as on the command line
  - lora: {rank: 4, training: {epochs: 5}}    # its name, options, and what holds for it alone
```

Beside its options, these keys can be said of every strategy:
"""
TRAINING = """\
They stand under `training:` of a recipe, of a task or of a strategy, and the nearest wins: a strategy's over a task's, that
over the recipe's, that over the protocol's, and `--set name=value` over all. What none of them says is the default.
"""
CLAIMS = """\
A claim is a sentence of the paper and the checks that must hold for it. Strategies are named as on the command line
(`layernorm`, `spafit:groups=4-9,variant=II`); a name that fits several rows means the best of them. Columns are named as
in the table (`cola`, `mnli_matched`, `conll2003.f1_macro`, `average`). Numbers are compared as the table prints them.
"""


def reference(schema: Mapping[str, Any]) -> str:
    """The page about recipes, in Markdown."""
    parts = schema["$defs"]
    overrides = parts["overrides"]["properties"]
    described, imported = parts["described_task"]["properties"], parts["imported_task"]["properties"]
    strategies = {name: part for name, part in parts.items() if name.startswith("strategy_")}
    figures = {name.removeprefix("figure_"): part for name, part in parts.items() if name.startswith("figure_")}
    common = set.intersection(*(set(part["properties"]) for part in figures.values())) - {"kind"}
    checks = parts["claim"]["properties"]["checks"]["items"]["discriminator"]["mapping"]
    settings = {name: value | {"default": defaults()[name]} for name, value in parts["training"]["properties"].items()}
    lines = [INTRODUCTION, *table(schema["properties"], parts), "", "## Tasks", "", TASKS]
    for_task = {key: value for key, value in overrides.items() if key != "tasks"}
    lines += [*table(for_task, parts), "", "A task of your own has its `name` and is described by:", ""]
    lines += table({key: value for key, value in described.items() if key == "label" or key not in for_task}, parts)
    lines += ["", "One whose runs are only imported (`peftcli import`), and none trained, has its `name` and", ""]
    lines += table({key: value for key, value in imported.items() if key not in for_task}, parts)
    lines += ["", "## Strategies", "", STRATEGIES, *table(overrides, parts), "", "Their options:", ""]
    lines += ["| strategy | option | type | default |", "| --- | --- | --- | --- |"]
    for name, strategy in strategies.items():
        lines.append(f"| **`{name.removeprefix('strategy_')}`** | {escaped(strategy['description'])} | | |")
        options = {key: value for key, value in strategy["properties"].items() if key not in overrides}
        lines += [f"| | `{key}` | {kind(value, parts)} | {default(value)} |" for key, value in options.items()]
    lines += ["", "## Training settings", "", TRAINING]
    for title, names in SETTINGS.items():
        lines += [f"### {title}", "", *table({name: settings.pop(name) for name in names.split()}, parts), ""]
    assert not settings, f"of no group: {', '.join(settings)}"
    lines += ["## Table", "", parts["table"]["description"], "", *table(parts["table"]["properties"], parts), ""]
    lines += ["## Figures", "", "Every figure has a `kind` and these keys:", ""]
    lines += table({key: value for key, value in figures["bars"]["properties"].items() if key in common}, parts)
    for name, part in figures.items():
        own = {key: value for key, value in part["properties"].items() if key not in common and key != "kind"}
        lines += ["", f"### `kind: {name}`", "", part["description"], *(["", *table(own, parts)] if own else [])]
    lines += [
        "",
        "## Claims",
        "",
        CLAIMS,
        *table(parts["claim"]["properties"], parts),
        "",
        "Every check can say `on`:",
        "",
    ]
    first = parts[next(iter(checks.values())).removeprefix("#/$defs/")]["properties"]
    lines += table({"on": first["on"]}, parts)
    for name, reference in checks.items():
        part = parts[reference.removeprefix("#/$defs/")]
        own = {
            key: value
            for key, value in part["properties"].items()
            if key != "kind" and (key != "on" or key in part["required"])
        }
        lines += ["", f"### `kind: {name}`", "", part["description"], *(["", *table(own, parts)] if own else [])]
    return "\n".join(lines).rstrip() + "\n"


def table(properties: Mapping[str, Any], parts: Mapping[str, Any]) -> list[str]:
    """A Markdown table of keys: type, default, meaning."""
    rows = [
        f"| `{key}` | {kind(value, parts)} | {default(value)} | {escaped(value.get('description', ''))} |"
        for key, value in properties.items()
    ]
    return ["| key | type | default | meaning |", "| --- | --- | --- | --- |", *rows]


def kind(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """A type in words: what may stand there, and in which range."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name.startswith("figure_"):
            return "[figures](#figures)"
        return LINKS.get(name) or f"mapping of {listed(parts[name]['properties'])}"
    if "enum" in schema or "const" in schema:
        return listed(schema.get("enum", [schema.get("const")]))
    if "discriminator" in schema:
        return "[checks](#claims)"
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(kind(choice, parts) for choice in choices))
    words = {
        "string": "text",
        "boolean": "true or false",
        "integer": "whole number",
        "number": "number",
        "null": "null",
    }
    if schema.get("type") == "array":
        items = kind(schema["items"], parts) if "items" in schema else "values"
        return items if items.startswith("[") else f"list of {length(schema)}{plural(items)}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"mapping of names to {plural(kind(inner, parts))}" if isinstance(inner, dict) else "mapping"
    return f"{words[schema['type']]}{limits(schema)}" if "type" in schema else "any value"


def plural(words: str) -> str:
    """A type's words after "list of"."""
    return words.replace("number", "numbers", 1)


def length(schema: Mapping[str, Any]) -> str:
    """How many items a list has, where that is bound from both sides."""
    low, high = schema.get("minItems"), schema.get("maxItems")
    return f"{low} " if low == high and low else f"{low or 0} to {high} " if high else ""


def limits(schema: Mapping[str, Any]) -> str:
    """The range of a number in words."""
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" ({low:,} to {high:,})"
    said = [f"{low:,} or more"] if low is not None else [f"more than {above:,}"] if above is not None else []
    said += [f"at most {high:,.0f}"] if high is not None else []
    # The largest seed is no range that a reader looks for.
    said += [f"less than {below:,}"] if below is not None and below < 2**63 else []
    return f" ({', '.join(said)})" if said else ""


def default(schema: Mapping[str, Any]) -> str:
    """The default as a recipe would say it; nothing where the key must be said."""
    if "default" not in schema:
        return ""
    value = schema["default"]
    return f"`{value}`" if isinstance(value, str) and value else f"`{json.dumps(value, ensure_ascii=False)}`"


def listed(values: Iterable[Any]) -> str:
    """Values side by side, as code."""
    return " or ".join(f"`{value}`" for value in values)


def escaped(text: str) -> str:
    """Text on one line, without what ends a table's cell."""
    return " ".join(text.replace("|", "\\|").split())


def made() -> dict[Path, str]:
    """What each file should hold."""
    schema = recipe_schema()
    return {SCHEMA: json.dumps(schema, indent=1, ensure_ascii=False) + "\n", REFERENCE: reference(schema)}


if __name__ == "__main__":
    for file, text in made().items():
        file.write_text(text, encoding="utf-8")
        print(file.relative_to(ROOT))
