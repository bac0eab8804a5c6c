"""`peftcli plan`: runs by state, cohorts, trainable parameters, and every setting with its origin. No torch."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peftcli.cli.options import AsJson, CohortSize, DataDir, Device, GpuMemory, Output, RecipeName, SetOption, Walltime
from peftcli.errors import UserError

if TYPE_CHECKING:
    from peftcli.experiment.recipe import Recipe

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
) -> None:
    """Show what a recipe would run, and how much of it is left.

    States, cohorts, trainable parameters, and in JSON where every setting comes from.
    """
    from peftcli.cli.recipes import load

    if walltime is not None and not calibrate:
        raise UserError("--time is for --calibrate here: it says how many cohorts fit")
    if device is not None and not calibrate:
        raise UserError("--device is for --calibrate here: it says where a few steps are timed")
    loaded = load(recipe, overrides)
    if calibrate:
        from peftcli.cli import calibrate as timing

        times = timing.describe(loaded, output, data_dir, cohort, walltime, device)
        print(json.dumps(times, indent=1) if as_json else timing.text(times))
    else:
        description = describe(loaded, output, cohort)
        if gpu_memory is not None:
            from peftcli.cli import memory

            description["gpu_memory"] = memory.describe(loaded, output, data_dir, gpu_memory)
        print(json.dumps(description, indent=1) if as_json else _text(description))


def describe(recipe: Recipe, output: Path, cohort: int | None) -> dict[str, Any]:
    """Return a recipe's plan as plain values. Raises UserError."""
    from peftcli import records
    from peftcli.experiment import cohort_size
    from peftcli.experiment import plan as planning
    from peftcli.launchers import slurm_queue
    from peftcli.report import parameters

    planned = planning.expand(recipe)
    runs = [p.run for p in planned]
    states = records.states(runs, output)
    # What has no record may be in a cluster's hands: its queue says which jobs wait and which are at work.
    outlook = slurm_queue.outlook(output, [run for run, state in states.items() if state == "missing"])
    states |= outlook.states
    # Whether the sweep will have a GPU is not asked, since that takes torch; without a pin it is counted as if not.
    decided = cohort_size.choose(output, runs, cohort, on_gpu=False)
    groups = planning.alike(runs)
    sizes = [len(part) for group in groups for part in planning.cut(group, decided.together(group[0]))]
    return {
        "title": recipe.title,
        "model": recipe.model,
        "runs": len(runs),
        "states": {state: Counter(states.values())[state] for state in STATES},
        "cohorts": len(sizes),
        "cohort_size": max(sizes, default=decided.cohort) if decided.sizes else decided.cohort,
        "strategies": parameters.rows(recipe),
        "notes": recipe.notes,
        "jobs": outlook.notes,
        "plan": [
            {
                "id": p.run.id,
                "state": states[p.run.id],
                "describe": p.run.describe(),
                "run": p.run.model_dump(),
                "origins": p.origins,
                "option_origins": p.options,
            }
            for p in planned
        ],
    }


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
    # A strategy may stand in a recipe several times with other options, so that its name alone does not tell.
    left = Counter(str((p["run"]["strategy"], p["run"]["options"])) for p in description["plan"] if p["state"] in LEFT)
    for row in description["strategies"]:
        count = left[str((row["strategy"], row["options"]))]
        percent = f"{row['trainable_percent']:.4f} %"
        lines.append(f"{row['label'][:43]:<44}{row['trainable']:>14,}{percent:>12}{count:>12}")
    if "gpu_memory" in description:
        from peftcli.cli import memory

        lines += ["", *memory.text(description["gpu_memory"])]
    return "\n".join([*lines, *(f"\n{note}" for note in description["notes"])])
