"""`peftcli sweep`: plans a recipe, trains what is missing, and says what did not end well."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peftcli.cli import completion, options
from peftcli.cli.memory import GIGABYTE
from peftcli.cli.options import AllowOtherData, DataDir, Only, Output, RecipeName, SetOption
from peftcli.errors import unknown

if TYPE_CHECKING:
    from peftcli.experiment.recipe import Recipe
    from peftcli.experiment.run import Run
    from peftcli.launchers.launch import Launch
    from peftcli.runner.work import SweepSettings


def sweep(
    recipe: RecipeName,
    output: Output = Path("results"),
    data_dir: DataDir = None,
    cohort: Annotated[int | None, typer.Option(min=1, help="Runs trained together; 1 turns it off.")] = None,
    overrides: SetOption = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    retry: Annotated[
        str | None,
        typer.Option(metavar="failed", help="Try failed runs again.", autocompletion=completion.of("failed")),
    ] = None,
    allow_other_data: AllowOtherData = False,
    predictions: Annotated[bool, typer.Option(help="Keep the evaluated logits beside the records.")] = True,
    save_delta: Annotated[bool, typer.Option(help="Keep what moved, beside the records.")] = False,
    track: options.Track = [],  # noqa: B006
    device: options.Device = None,
    gpu_memory: options.GpuMemory = None,
    launcher: options.Launcher = "local",
    processes: options.Processes = None,
    processes_per_run: options.ProcessesPerRun = None,
    partition: options.Partition = None,
    walltime: options.Walltime = None,
    gpus: options.Gpus = None,
    max_jobs: options.MaxJobs = None,
    account: options.Account = None,
    slurm: options.Slurm = [],  # noqa: B006
    detach: options.Detach = False,
) -> int:
    """Run what is missing of a recipe. Stop it at any moment and start it again to go on."""
    from peftcli.cli.recipes import load
    from peftcli.experiment.recipe import name_of
    from peftcli.launchers.launch import LauncherOptions, choose
    from peftcli.runner import tracking
    from peftcli.runner.work import SweepSettings

    if retry not in (None, "failed"):
        raise unknown("value of --retry", retry, ["failed"])
    launch = choose(launcher, LauncherOptions(
        processes=processes, processes_per_run=processes_per_run, partition=partition, time=walltime, gpus=gpus,
        max_jobs=max_jobs, account=account, slurm=slurm, detach=detach, gpu_memory=gpu_memory,
    ))  # fmt: skip
    trackers = tracking.check(track)
    loaded = load(recipe, overrides)
    # A job that was to have GPUs trains on them or not at all.
    device = device or ("cuda" if gpus else None)
    settings = SweepSettings(
        loaded.model, output, data_dir, allow_other_data, predictions, save_delta, track=trackers,
        recipe=name_of(loaded.path), device=device,
        gpu_memory=None if gpu_memory is None else gpu_memory * GIGABYTE,
    )  # fmt: skip
    return _run(loaded, settings, launch, cohort=cohort, only=only, retry_failed=retry == "failed")


def _run(
    recipe: Recipe, settings: SweepSettings, launch: Launch, *, cohort: int | None, only: list[str], retry_failed: bool
) -> int:
    """Run what is missing of a recipe's chosen runs; return the exit code: 1 where one did not complete.

    Where nothing is missing neither torch nor, unless their files have changed, the model and the data are read.
    """
    from peftcli.experiment import plan
    from peftcli.runner import grouping, work
    from peftcli.tasks import own_data

    planned, unreadable = plan.expand_readable(recipe)
    unreadable = plan.select_tasks(unreadable, only)
    described = own_data.locations(recipe.path, [(name, entry.options) for name, entry in recipe.tasks])
    settings = replace(settings, own_data=described)
    runs, chosen = [p.run for p in planned], [p.run for p in plan.select(planned, only, unreadable)]
    # All runs are looked at, not only the chosen ones: a damaged record is better named early.
    wanted = work.missing(runs, settings, retry_failed) & {run.id for run in chosen}
    recorded = len(chosen) - len(wanted)
    more = " (no deltas are written of those)" if settings.save_delta and recorded else ""
    summary = f"{recipe.title}: {len(chosen)} runs, {recorded} recorded already{more}"
    if not wanted and not unreadable:
        print(summary, file=sys.stderr)
        return _end(chosen, settings.output, {})
    from peftcli.experiment import cohort_size
    from peftcli.preflight import refusals

    left = [run for run in runs if run.id in wanted]
    refused = refusals.unreadable(unreadable)
    refused += refusals.check(settings.model, left, settings.source, settings.allow_other_data) if left else []
    without = refusals.settle(refused, {run.task for run in left})
    print(summary, file=sys.stderr)
    wanted -= {run.id for run in left if run.task in without}
    # Cohorts are made of the whole recipe, whatever is chosen or recorded: a run's company is always the same.
    cohorts = grouping.cohorts(runs, settings, cohort, wanted)
    unit = work.WorkUnit(tuple(cohorts), wanted, cohort_size.sweep_id(runs) if cohort is None else None)
    complaints = launch(unit, settings, retry_failed)
    named = {refusal.task: refusal.message for refusal in refused if refusal.task is not None}
    if complaints is None:  # submitted, and nobody waits
        return 1 if named else 0
    print("\n".join(complaints), file=sys.stderr, end="\n" if complaints else "")
    return _end(chosen, settings.output, named)


def _end(runs: list[Run], output: Path, refused: Mapping[str, str]) -> int:
    """Name every run that did not complete, and by task what was refused before the first run; return the exit code."""
    from peftcli import records

    complaints = [f"refused: {message}" for message in refused.values()]
    incomplete = 0
    for run in runs:
        record = records.find(output, run)
        incomplete += record is None or record.status != "completed"
        if record is None and run.task not in refused:
            complaints.append(f"missing: {run.describe()}")
        elif record is not None and record.status != "completed":
            complaints.append(f"{record.status}: {run.describe()}: {record.body['error']} ({record.path})")
    summary = f"{len(runs) - incomplete} of {len(runs)} runs completed"
    print("\n".join([*complaints, summary]), file=sys.stderr)
    return 1 if complaints else 0
