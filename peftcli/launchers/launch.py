"""From `--launcher` and its options to the function that trains a unit: here, by processes, or by a cluster's jobs. No torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError, unknown

if TYPE_CHECKING:
    from peftcli.runner.work import SweepSettings, WorkUnit

    # Takes a unit and whether failed runs are tried again; gives lines on what went wrong, None where nobody waited.
    Launch = Callable[[WorkUnit, SweepSettings, bool], list[str] | None]

LAUNCHERS = ("local", "accelerate", "slurm")
OPTIONS = {
    "local": (),
    "accelerate": ("--processes", "--processes-per-run"),
    "slurm": (
        *("--processes", "--processes-per-run", "--partition", "--time", "--gpus", "--max-jobs", "--account"),
        *("--slurm", "--detach"),
    ),
}


def choose(launcher: str, given: Mapping[str, Any]) -> Launch:
    """Give the launcher; `given` are its options by name, None or empty where not given. Raises UserError."""
    if launcher not in LAUNCHERS:
        raise unknown("launcher", launcher, LAUNCHERS)
    for option, value in given.items():
        if value and option not in OPTIONS[launcher]:
            wanted = " or ".join(name for name in LAUNCHERS if option in OPTIONS[name])
            raise UserError(f"{option} does nothing with --launcher {launcher}: it is for --launcher {wanted}")
    processes, each = given["--processes"], given["--processes-per-run"] or 1
    if launcher == "local":
        return _local
    if launcher == "accelerate":
        return partial(_accelerate, processes, each)
    others: Sequence[str] = given["--slurm"]
    asked = (given["--time"] or "60", given["--partition"], given["--gpus"], given["--account"], others)
    return partial(_slurm, asked, given["--max-jobs"], processes, each, bool(given["--detach"]))


def _local(unit: WorkUnit, settings: SweepSettings, retry_failed: bool) -> list[str]:
    from peftcli.launchers import local

    local.run(unit, settings)
    return []


def _accelerate(
    processes: int | None, each: int, unit: WorkUnit, settings: SweepSettings, retry_failed: bool
) -> list[str]:
    from peftcli.launchers import accelerate
    from peftcli.launchers.warming import warm

    count = accelerate.check(processes, each)
    warm(unit.runs, settings)
    return accelerate.run(unit, settings, count, each)


def _slurm(
    asked: tuple[str, str | None, int | None, str | None, Sequence[str]],
    jobs: int | None,
    processes: int | None,
    each: int,
    detach: bool,
    unit: WorkUnit,
    settings: SweepSettings,
    retry_failed: bool,
) -> list[str] | None:
    from peftcli.launchers import shares, slurm
    from peftcli.launchers.tally import Tally
    from peftcli.launchers.warming import warm

    request = slurm.request(*asked)
    slurm.check()
    count = processes or max(request.gpus or 1, each)
    if count % each:
        raise UserError(f"--processes {count} is no multiple of --processes-per-run {each}")
    runs = unit.runs
    if not runs:
        return []
    warm(runs, settings)
    tally = Tally(runs, settings.output)
    submitted = slurm.submit(unit, settings, retry_failed, request, jobs or slurm.JOBS, count, each)
    print(
        f"array {submitted.job}: {len(submitted.shares)} jobs submitted, messages in {submitted.folder}",
        file=sys.stderr,
    )
    if detach:
        return None
    slurm.wait(submitted, tally, partial(shares.cost, settings.model))
    by_id = {run.id: run for run in runs}
    lines = []
    for number, cohorts in enumerate(submitted.shares):
        own = [by_id[identity] for cohort in cohorts for identity in cohort]
        if left := len(tally.left(own)):
            lines.append(
                f"job {submitted.job}_{number} left {left} of its {len(own)} runs: see {submitted.log(number)}"
            )
    return lines
