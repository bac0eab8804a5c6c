"""What `peftcli list` shows: strategies, tasks, models and recipes, a line each. No torch."""

from typing import Any

from peftcli import documents
from peftcli.experiment import recipe
from peftcli.models import catalogue
from peftcli.strategies import STRATEGIES
from peftcli.tasks import registry as tasks

KINDS = ("strategies", "tasks", "models", "recipes")


def rows(what: str) -> list[dict[str, Any]]:
    """Give one of `KINDS` as objects with `name` and `summary`, and for strategies their `options`."""
    if what == "strategies":
        return [
            {"name": name, "summary": s.summary, "options": list(s.option_names)}
            for name, s in sorted(STRATEGIES.items())
        ]
    if what == "tasks":
        return [{"name": task.name, "summary": _task(task)} for task in tasks.TASKS.values()]
    if what == "models":
        return [{"name": name, "summary": catalogue.DESCRIPTIONS[name]} for name in catalogue.PUBLISHED_SIZES]
    return [{"name": name, "summary": _title(name)} for name in recipe.shipped()]


def _task(task: tasks.Task) -> str:
    sizes = " / ".join(f"{size} {split}" for split, size in task.sizes.items() if split in ("train", *task.evaluation))
    parts = [task.kind, ", ".join(task.metrics), sizes, task.note]
    return "; ".join(filter(None, parts))


def _title(name: str) -> str:
    document = documents.load(recipe.find(name), "recipe")
    return str(document.get("title", ""))
