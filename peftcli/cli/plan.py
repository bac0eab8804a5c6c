"""`peftcli plan`: runs by state, cohorts, trainable parameters, and every setting with its origin. No torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peftcli.cli import detect as detecting
from peftcli.cli.options import AsJson, CohortSize, DataDir, Device, GpuMemory, Output, RecipeName, SetOption, Walltime
from peftcli.errors import UserError

if TYPE_CHECKING:
    from peftcli.experiment.plan import Planned
    from peftcli.experiment.recipe import Recipe
    from peftcli.launchers.slurm_queue import Outlook

    Seeds = Callable[[Sequence[Planned], Mapping[str, float]], dict[str, Any]]  # of runs, and the seconds of each

LEFT = ("running", "queued", "missing")  # the first two: in a cluster's queue
STATES = ("completed", "diverged", "failed", "damaged", *LEFT)


def plan(
    recipe: RecipeName,
    output: Output = Path("results"),
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
    cohort: CohortSize = None,
    as_json: AsJson = False,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Time a few steps and tell hours.")] = False,
    walltime: Walltime = None,
    device: Device = None,
    gpu_memory: GpuMemory = None,
    detect: Annotated[
        str | None,
        typer.Option(
            metavar="POINTS", help="Tell how many seeds find this difference; margin: that of each of the claims."
        ),
    ] = None,
) -> None:
    """Show what a recipe would run, and how much of it is left.

    States, cohorts, trainable parameters, and in JSON where every setting comes from.
    """
    from peftcli.cli.recipes import load

    if walltime is not None and not calibrate:
        raise UserError("--time is for --calibrate here: it says how many cohorts fit")
    if device is not None and not calibrate:
        raise UserError("--device is for --calibrate here: it says where a few steps are timed")
    difference = None if detect is None else detecting.difference(detect)
    loaded = load(recipe, overrides)
    # None of `--detect` is no plan of seeds, None of a difference each claim's margin.
    seeds = (
        None
        if detect is None
        else lambda planned, timed: detecting.describe(loaded, planned, output, difference, timed)
    )
    if calibrate:
        print(_times(loaded, output, data_dir, cohort, walltime, device, seeds, as_json))
    else:
        print(_left(loaded, output, data_dir, cohort, gpu_memory, seeds, as_json))


def _times(
    recipe: Recipe,
    output: Path,
    data_dir: Path | None,
    cohort: int | None,
    walltime: str | None,
    device: str | None,
    seeds: Seeds | None,
    as_json: bool,
) -> str:
    """Time a few steps of a recipe's runs, and return what it will take."""
    from peftcli.cli import calibrate as timing
    from peftcli.experiment import plan as planning

    times = timing.describe(recipe, output, data_dir, cohort, walltime, device)
    if seeds is not None:
        times["detect"] = seeds(planning.expand(recipe), timing.seconds_of_a_run(times))
    return json.dumps(times, indent=1) if as_json else timing.text(times)


def _left(
    recipe: Recipe,
    output: Path,
    data_dir: Path | None,
    cohort: int | None,
    gpu_memory: int | None,
    seeds: Seeds | None,
    as_json: bool,
) -> str:
    """Return what a recipe would run, and how much of it is left, without training anything."""
    planned, outlook = _states(recipe, output)
    description = describe(recipe, output, cohort, planned, outlook)
    if seeds is not None:
        description["detect"] = seeds(planned, {})
    if gpu_memory is not None:
        from peftcli.cli import memory

        description["gpu_memory"] = memory.describe(recipe, output, data_dir, gpu_memory)
    if as_json:
        return json.dumps(description | {"plan": _runs(planned, outlook.states)}, indent=1)
    return _text(description)


def _states(recipe: Recipe, output: Path) -> tuple[list[Planned], Outlook]:
    """Return a recipe's runs, and by id what became of them: a record, or a job of a cluster's queue."""
    from peftcli import records
    from peftcli.experiment import plan as planning
    from peftcli.launchers import slurm_queue

    planned = planning.expand(recipe)
    states = records.states([p.run for p in planned], output)
    outlook = slurm_queue.outlook(output, [run for run, state in states.items() if state == "missing"])
    return planned, replace(outlook, states={**states, **outlook.states})


def describe(
    recipe: Recipe, output: Path, cohort: int | None, planned: Sequence[Planned], outlook: Outlook
) -> dict[str, Any]:
    """Return a recipe's plan as plain values, without its single runs. Raises UserError."""
    from peftcli.experiment import cohort_size
    from peftcli.experiment import plan as planning
    from peftcli.report import parameters

    runs, states = [p.run for p in planned], outlook.states
    # Whether the sweep will have a GPU is not asked, since that takes torch; without a pin it is counted as if not.
    decided = cohort_size.choose(output, runs, cohort, on_gpu=False)
    groups = planning.alike(runs)
    sizes = [len(part) for group in groups for part in planning.cut(group, decided.together(group[0]))]
    # A strategy may stand in a recipe several times with other options, so that its name alone does not tell.
    left = Counter((run.strategy, str(run.options)) for run in runs if states[run.id] in LEFT)
    return {
        "title": recipe.title,
        "model": recipe.model,
        "runs": len(runs),
        "states": {state: Counter(states.values())[state] for state in STATES},
        "cohorts": len(sizes),
        "cohort_size": max(sizes, default=decided.cohort) if decided.sizes else decided.cohort,
        "strategies": [row | {"left": left[row["strategy"], str(row["options"])]} for row in parameters.rows(recipe)],
        "notes": recipe.notes,
        "jobs": outlook.notes,
    }


def _runs(planned: Sequence[Planned], states: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "id": p.run.id,
            "state": states[p.run.id],
            "describe": p.run.describe(),
            "run": p.run.model_dump(),
            "origins": p.origins,
            "option_origins": p.options,
        }
        for p in planned
    ]


def _text(description: dict[str, Any]) -> str:
    states = ", ".join(f"{count} {state}" for state, count in description["states"].items() if count)
    lines = [
        description["title"],
        f"model {description['model']}; {description['runs']} runs: {states}",
        f"{description['cohorts']} cohorts of at most {description['cohort_size']} runs",
        *description["jobs"],
        "",
        f"{'strategy':<44}{'trainable':>14}{'percent':>12}{'runs left':>12}",
    ]
    for row in description["strategies"]:
        percent = f"{row['trainable_percent']:.4f} %"
        lines.append(f"{row['label'][:43]:<44}{row['trainable']:>14,}{percent:>12}{row['left']:>12}")
    if "gpu_memory" in description:
        from peftcli.cli import memory

        lines += ["", *memory.text(description["gpu_memory"])]
    if "detect" in description:
        lines += ["", *detecting.text(description["detect"])]
    return "\n".join([*lines, *(f"\n{note}" for note in description["notes"])])
