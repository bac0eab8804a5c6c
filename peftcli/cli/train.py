"""What `peftcli train` does: a recipe of one strategy and one task made from its arguments, trained at once."""

import sys
from pathlib import Path
from typing import Any

from peftcli import documents, records
from peftcli.errors import UserError
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import plan, recipe
from peftcli.experiment.run import Run
from peftcli.models import catalogue
from peftcli.preflight import availability as readiness
from peftcli.records import Record
from peftcli.runner import tracking, work
from peftcli.strategies import registry
from peftcli.tasks import registry as tasks

WHOLE = ("full", "feedforward", "multihead", "mixout", "childpruning", "diffpruning")


def plan_runs(
    strategy: str,
    task: str,
    model: str,
    lr: str | None,
    seeds: list[str],
    settings: dict[str, str],
    overrides: list[str],
) -> list[Run]:
    """Make the runs that the arguments describe, one a seed. Raises UserError, before any model is read."""
    entry = recipe.parse_strategy(strategy)
    registry.get(next(iter(entry)))
    tasks.get(task)
    rate = documents.parse(lr) if lr is not None else 5e-5 if next(iter(entry)) in WHOLE else 1e-3
    document: dict[str, Any] = {
        "title": "train",
        "model": model,
        "tasks": [task],
        "strategies": [entry],
        "learning_rates": [rate],
        "seeds": [documents.parse(seed) for seed in seeds],
    }
    given = {key: documents.parse(value) for key, value in settings.items()} | recipe.parse_set(overrides)
    made = recipe.build(document, Path("command line"), given, "command line")
    runs = [planned.run for planned in plan.expand(made)]
    _check_tuning(model, runs[0])
    return runs


def run(
    runs: list[Run],
    model: str,
    output: Path,
    data_dir: Path | None,
    *,
    again: bool,
    allow_other_data: bool,
    save_delta: bool,
    keep_predictions: bool,
    track: str | None,
) -> int:
    """Train what is not recorded yet (all of it `again`) and print every run's metrics; gives the exit code."""
    tracking.check(track)
    found = {own.id: records.find(output, own) for own in runs}
    wanted = frozenset(own.id for own in runs if again or found[own.id] is None)
    more = " and saves its delta" if save_delta else ""
    for own in runs:
        if own.id not in wanted:
            print(
                f"already recorded ({own.describe()}): {records.path(output, own)}; --again trains it anew{more}",
                file=sys.stderr,
            )
    if wanted:
        readiness.check(model, runs, data_dir, allow_other_data)
        _train(runs, wanted, model, output, data_dir, allow_other_data, save_delta, keep_predictions, track)
    ended = [record for own in runs if (record := records.find(output, own)) is not None]
    print("\n".join(map(_describe, ended)))
    return 0 if all(record.status == "completed" for record in ended) else 1


def _train(
    runs: list[Run],
    wanted: frozenset[str],
    model: str,
    output: Path,
    data_dir: Path | None,
    allow_other_data: bool,
    save_delta: bool,
    keep_predictions: bool,
    track: str | None,
) -> None:
    from peftcli.launchers import local
    from peftcli.runner.work import SweepSettings

    settings = SweepSettings(model, output, data_dir, allow_other_data, keep_predictions, save_delta, track=track)
    together = work.cohorts(runs, settings, sizing.default(work.on_gpu()))
    local.run(work.WorkUnit(tuple(together), wanted), settings)


def _check_tuning(model: str, run: Run) -> None:
    """Ask the strategy what it selects before anything heavy is loaded, where the model's sizes are known."""
    from peftcli.experiment import parameters

    try:
        catalogue.config(model)
    except UserError:
        if catalogue.looks_like_path(model) or "/" not in model:
            raise
        return
    parameters.run_count(model, run)


def _describe(record: Record) -> str:
    run = record.run
    head = f"{run.describe()}: {record.status}"
    if record.status != "completed":
        return f"{head}: {record.body['error']} ({record.path})"
    last = {entry["split"]: entry for entry in record.body["evaluations"]}
    hidden = ("step", "epoch", "split", "collapsed")
    lines = [head]
    for split, entry in last.items():
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in entry.items() if key not in hidden)
        lines.append(f"  {split:<12} {numbers}{'  (one answer for every example)' if entry['collapsed'] else ''}")
    counts = record.body["parameters"]
    if counts:
        lines.append(
            f"  {counts['trainable']:,} of {counts['total']:,} weights trained ({counts['trainable_percent']:.4f} %)"
        )
    return "\n".join([*lines, f"  {record.path}"])
