"""`peftcli list`: strategies, tasks, models and recipes, a line each. No torch."""

import json
from typing import Annotated, Any

import typer

from peftcli.cli import completion
from peftcli.cli.options import AsJson
from peftcli.errors import unknown

KINDS = ("strategies", "tasks", "models", "recipes")


# Named so as not to hide the built-in `list`; the command itself is registered as `list`.
def list_(
    what: Annotated[
        str, typer.Argument(metavar="strategies|tasks|models|recipes", autocompletion=completion.of(*KINDS))
    ],
    as_json: AsJson = False,
) -> None:
    """List what exists, a line each."""
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    listed = rows(what)
    if as_json:
        print(json.dumps(listed, indent=1))
        return
    width = max(len(row["name"]) for row in listed)
    for row in listed:
        print(f"{row['name']:<{width}}  {row['summary']}")


def rows(what: str) -> list[dict[str, Any]]:
    """Return one of `KINDS` as objects with `name` and `summary`, and for strategies their `options`."""
    from peftcli import documents
    from peftcli.experiment import recipe
    from peftcli.models import published
    from peftcli.strategies import STRATEGIES
    from peftcli.tasks import registry

    if what == "strategies":
        return [
            {"name": name, "summary": strategy.summary, "options": list(strategy.option_names)}
            for name, strategy in sorted(STRATEGIES.items())
        ]
    if what == "models":
        return [{"name": name, "summary": published.DESCRIPTIONS[name]} for name in published.PUBLISHED_SIZES]
    if what == "recipes":
        # Titles alone are read: a recipe that is wrong further down is still listed.
        titles = {name: documents.load(recipe.find(name), "recipe").get("title", "") for name in recipe.shipped()}
        return [{"name": name, "summary": str(title)} for name, title in titles.items()]
    listed = []
    for task in registry.TASKS.values():
        # Splits that are neither trained on nor evaluated (the GLUE server's test sets) are left out.
        used = {split: size for split, size in task.sizes.items() if split in ("train", *task.evaluation)}
        sizes = " / ".join(f"{size} {split}" for split, size in used.items())
        details = (task.kind, ", ".join(task.metrics), sizes, task.note)
        listed.append({"name": task.name, "summary": "; ".join(filter(None, details))})
    return listed
