"""What `peftcli plan --calibrate` shows: hours left, and how many cohorts fit a walltime, from a few timed steps."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import plan
from peftcli.experiment.recipe import find, load, parse_set
from peftcli.launchers.walltime import minutes
from peftcli.runner import work
from peftcli.tasks import own_data


def show(
    name: str,
    output: Path,
    data_dir: Path | None,
    overrides: list[str],
    cohort: int | None,
    walltime: str | None,
    as_json: bool,
) -> str:
    """Time what is left of a recipe, as text or JSON. Raises UserError."""
    recipe = load(find(name), parse_set(overrides))
    runs = [planned.run for planned in plan.expand(recipe)]
    limit = None if walltime is None else minutes(walltime) * 60
    from peftcli.engine.device import default_device
    from peftcli.runner import calibration
    from peftcli.runner.work import SweepSettings

    described = own_data.folders(recipe.path, [(name, entry.options) for name, entry in recipe.tasks])
    settings = SweepSettings(recipe.model, output, data_dir, own_data=described)
    size = sizing.choose(output, runs, cohort, work.on_gpu())
    left = work.missing(runs, settings, False)
    groups = work.WorkUnit(tuple(work.cohorts(runs, settings, size)), left).wanted_cohorts
    timings, start = calibration.calibrate(groups, settings)
    found = {
        "title": recipe.title,
        "device": default_device().type,
        "runs": len(left),
        "cohorts": len(groups),
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
    return json.dumps(found, indent=1) if as_json else _text(found)


def _text(found: dict[str, Any]) -> str:
    limit = found["walltime_seconds"]
    fit = "" if limit is None else f"{'fit in ' + _words(limit):>16}"
    head = f"{'kind of cohort':<44}{'cohorts':>8}{'runs each':>10}{'steps':>8}{'s/step':>9}{'a cohort':>10}{fit}"
    lines = [found["title"], head]
    for kind in found["kinds"]:
        fits = "" if limit is None else f"{kind['fit']:>16}"
        lines.append(
            f"{kind['name'][:43]:<44}{kind['cohorts']:>8}{kind['runs']:>10}{kind['steps']:>8}{kind['step']:>9.3f}"
            f"{_words(kind['seconds']):>10}{fits}"
        )
    unit = "GPU-hours" if found["device"] == "cuda" else "hours by one process"
    lines.append(
        f"{found['runs']} runs left in {found['cohorts']} cohorts: at most {found['hours']:.2f} {unit}, "
        f"and {found['process_start_seconds']:.0f} s to start each process"
    )
    return "\n".join(lines)


def _words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
