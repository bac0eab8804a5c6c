"""`peftcli plan --calibrate`: hours left, and how many cohorts fit a walltime, from a few timed steps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli.cli import detect
from peftcli.experiment.durations import MEASURED, in_words

if TYPE_CHECKING:
    from peftcli.experiment.recipe import Recipe


def describe(
    recipe: Recipe, output: Path, data_dir: Path | None, cohort: int | None, walltime: str | None, device: str | None
) -> dict[str, Any]:
    """Time what is left of a recipe, as plain values; nothing is written. Raises UserError.

    `alike` of a kind is what its runs have in common, which `seconds_of_a_run` takes out.
    """
    from peftcli.experiment import plan
    from peftcli.launchers.slurm_queue import minutes
    from peftcli.tasks import own_data

    runs = [planned.run for planned in plan.expand(recipe)]
    # In seconds. A walltime that is none is refused before torch is imported.
    limit = None if walltime is None else minutes(walltime) * 60
    from peftcli.engine import device as devices
    from peftcli.runner import calibration, grouping, work
    from peftcli.runner.work import SweepSettings

    described = own_data.locations(recipe.path, [(name, entry.options) for name, entry in recipe.tasks])
    settings = SweepSettings(recipe.model, output, data_dir, own_data=described, device=device)
    # The size a sweep would have, but it is not pinned: nothing is decided by asking how long it takes.
    decided = grouping.decide(runs, settings, cohort)
    left = work.missing(runs, settings, False)
    unit = work.WorkUnit(tuple(grouping.cut(runs, settings, decided)), left)
    times = calibration.calibrate(unit, settings)
    timings, start = times.timings, times.process_start
    return {
        "title": recipe.title,
        "device": devices.choose(device).type,
        "runs": len(left),
        "cohorts": sum(timing.cohorts for timing in timings),
        "too_large": times.too_large,
        "hours": sum(timing.cohorts * timing.seconds for timing in timings) / 3600,
        "process_start_seconds": start,
        "walltime_seconds": limit,
        "kinds": [
            {
                **asdict(timing),
                "seconds": timing.seconds,
                "fit": None if limit is None else calibration.fitting(timing, start, limit),
            }
            for timing in timings
        ],
    }


def seconds_of_a_run(times: dict[str, Any]) -> dict[str, float]:
    """Take what each kind's runs have in common out of what `describe` returned, with the seconds of one of its runs."""
    spent: dict[str, tuple[float, int]] = {}
    for kind in times["kinds"]:
        seconds, runs = spent.get(alike := kind.pop("alike"), (0.0, 0))
        # The last cohort of a kind may be smaller than the others.
        spent[alike] = seconds + kind["cohorts"] * kind["seconds"], runs + kind["cohorts"] * kind["runs"]
    return {alike: seconds / runs for alike, (seconds, runs) in spent.items()}


def text(times: dict[str, Any]) -> str:
    """Word what `describe` returned: a line for each kind of cohort, and the sum."""
    limit = times["walltime_seconds"]
    fit = "" if limit is None else f"{'fit in ' + in_words(limit, MEASURED):>16}"
    head = f"{'kind of cohort':<44}{'cohorts':>8}{'runs each':>10}{'steps':>8}{'s/step':>9}{'a cohort':>10}{fit}"
    lines = [times["title"], head]
    for kind in times["kinds"]:
        fits = "" if limit is None else f"{kind['fit']:>16}"
        lines.append(
            f"{kind['name'][:43]:<44}{kind['cohorts']:>8}{kind['runs']:>10}{kind['steps']:>8}{kind['step']:>9.3f}"
            f"{in_words(kind['seconds'], MEASURED):>10}{fits}"
        )
    lines += [f"{name}: memory does not hold one run of it, so its time is not counted" for name in times["too_large"]]
    unit = "GPU-hours" if times["device"] == "cuda" else "hours by one process"
    lines.append(
        f"{times['runs']} runs left in {times['cohorts']} cohorts: at most {times['hours']:.2f} {unit}, "
        f"and {times['process_start_seconds']:.0f} s to start each process"
    )
    if "detect" in times:
        lines += ["", *detect.text(times["detect"])]
    return "\n".join(lines)
