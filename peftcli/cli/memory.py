"""What `plan` and `doctor` say of GPU memory: what each kind of run takes, and how many train together on GPUs of some sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peftcli.experiment.recipe import Recipe

GIGABYTE = 10**9


def describe(recipe: Recipe, output: Path, data_dir: Path | None, gigabytes: int | None) -> list[dict[str, Any]]:
    """By kind of run its name, `shared` and `each` in bytes, and the runs that train `together` by a GPU's bytes.

    Counts what was not counted before, which takes some seconds a kind. Raises UserError where model or data are not there.
    """
    from peftcli.experiment import plan
    from peftcli.runner import grouping
    from peftcli.runner.work import SweepSettings
    from peftcli.tasks import own_data

    runs = [planned.run for planned in plan.expand(recipe)]
    described = own_data.locations(recipe.path, [(name, entry.options) for name, entry in recipe.tasks])
    memory = None if gigabytes is None else gigabytes * GIGABYTE
    return grouping.outlook(runs, SweepSettings(recipe.model, output, data_dir, own_data=described, gpu_memory=memory))


def text(kinds: list[dict[str, Any]]) -> list[str]:
    """A line for each kind of run, under a head with the memories."""
    memories = list(kinds[0]["together"]) if kinds else []
    head = "".join(f"{memory / GIGABYTE:>7.0f} GB" for memory in memories)
    lines = [f"{'memory on a GPU: together on':<44}{'shared':>9}{'a run':>10}{head}"]
    for kind in kinds:
        sizes = "".join(f"{kind['together'][memory]:>10}" for memory in memories)
        shared, each = (f"{kind[part] / GIGABYTE:.2f} GB" for part in ("shared", "each"))
        lines.append(f"{kind['name'][:43]:<44}{shared:>9}{each:>10}{sizes}")
    return lines
