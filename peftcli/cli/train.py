"""`peftcli train`: a recipe of one strategy and one task made from its arguments, trained at once."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peftcli.cli import completion
from peftcli.cli.options import AllowOtherData, DataDir, Device, Output, SetOption, Track
from peftcli.errors import UserError

if TYPE_CHECKING:
    from peftcli.experiment.run import Run
    from peftcli.records import Record
    from peftcli.runner.work import SweepSettings

# Learning rates where none is asked for: full fine-tuning's customary one, and one for strategies that move little.
WHOLE_RATE, SPARSE_RATE = 5e-5, 1e-3


def train(
    strategy: Annotated[
        str, typer.Option(help="A strategy, with options as name:option=value,…", autocompletion=completion.strategies)
    ],
    task: Annotated[str, typer.Option(help="A task, e.g. rte.", autocompletion=completion.tasks)],
    model: Annotated[
        str, typer.Option(help="A hub id, a local folder, or minilm.", autocompletion=completion.models)
    ] = "bert-base-uncased",
    lr: Annotated[str | None, typer.Option(help="Learning rate.  [5e-5 where whole layers move, else 1e-3]")] = None,
    seed: Annotated[list[str], typer.Option(help="Seed; give it several times for several runs.")] = ["0"],  # noqa: B006
    epochs: Annotated[str | None, typer.Option(help="Passes over the training set.  [3]")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Examples a step.  [16]")] = None,
    max_length: Annotated[str | None, typer.Option(help="Word pieces a sequence.  [128]")] = None,
    max_train_samples: Annotated[str | None, typer.Option(help="The first so many training examples.")] = None,
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
    output: Output = Path("results"),
    save_delta: Annotated[bool, typer.Option(help="Keep what moved, beside the record.")] = False,
    again: Annotated[bool, typer.Option(help="Train even if the run is recorded; the record is replaced.")] = False,
    allow_other_data: AllowOtherData = False,
    predictions: Annotated[bool, typer.Option(help="Keep the evaluated logits beside the record.")] = True,
    track: Track = [],  # noqa: B006
    device: Device = None,
) -> int:
    """Train one run, or one a seed, print metrics, write records."""
    from peftcli.runner import tracking
    from peftcli.runner.work import SweepSettings

    # Options that are settings are short for --set, which comes after them and so wins over them.
    named = {"epochs": epochs, "batch_size": batch_size, "max_length": max_length}
    named["max_train_samples"] = max_train_samples
    sets = [f"{key}={value}" for key, value in named.items() if value is not None]
    runs = plan_runs(strategy, task, model, lr, seed, [*sets, *overrides])
    trackers = tracking.check(track)
    settings = SweepSettings(
        model, output, data_dir, allow_other_data, predictions, save_delta, track=trackers, device=device
    )
    return _train(runs, settings, again)


def plan_runs(
    strategy: str, task: str, model: str, rate: str | None, seeds: list[str], overrides: list[str]
) -> list[Run]:
    """Return the runs that the arguments describe, one a seed. Raises UserError, before any model is read."""
    from peftcli import documents
    from peftcli.experiment import notation, plan, recipe
    from peftcli.strategies import registry
    from peftcli.tasks import registry as tasks

    entry = notation.parse_strategy(strategy)
    registry.get(next(iter(entry)))
    tasks.get(task)
    learning_rate = SPARSE_RATE if rate is None else documents.parse(rate)
    document: dict[str, Any] = {
        "title": "train",
        "model": model,
        "tasks": [task],
        "strategies": [entry],
        "seeds": [documents.parse(seed) for seed in seeds],
    }
    settings = recipe.parse_set(overrides)

    def expanded(learning_rate: Any) -> list[Run]:
        changed = document | {"learning_rates": [learning_rate]}
        built = recipe.build(changed, Path("command line"), settings, "command line")
        return [planned.run for planned in plan.expand(built)]

    runs = expanded(learning_rate)
    whole = _trains_whole_matrices(model, runs[0])
    # What moves follows from the strategy's checked options, which a planned run has; so the lower rate takes a second plan.
    return expanded(WHOLE_RATE) if whole and rate is None else runs


def _trains_whole_matrices(model: str, run: Run) -> bool:
    """Ask the strategy what it selects on a model, before anything heavy is loaded.

    Raises UserError for options that the model cannot satisfy, where its sizes are known without a network.
    """
    from peftcli.models import catalogue, published

    try:
        config = catalogue.config(model)
    except UserError:
        if catalogue.looks_like_path(model) or "/" not in model:
            raise
    else:
        return _moves_whole(config, run)
    # A hub model that was never fetched. Which kinds of tensors move does not depend on sizes, so another model answers
    # for it, with layers enough for any that are named. What it cannot satisfy is refused once the real sizes are there.
    with contextlib.suppress(UserError):
        return _moves_whole({**published.PUBLISHED_SIZES[catalogue.DEFAULT], "num_hidden_layers": 100}, run)
    return False


def _moves_whole(config: dict[str, Any], run: Run) -> bool:
    from peftcli.experiment import parameters
    from peftcli.experiment.run import task_of
    from peftcli.strategies import registry
    from peftcli.strategies.tuning import trains_whole_matrices

    task = task_of(run)
    structure = parameters.with_head(config, task.kind, max(len(task.labels), 1), run.protocol.head)
    return trains_whole_matrices(registry.get(run.strategy).tune(structure, run.options), structure)


def _train(runs: list[Run], settings: SweepSettings, again: bool) -> int:
    """Train what is not recorded yet (all of it `again`) and print every run's metrics; return the exit code."""
    from peftcli import records
    from peftcli.runner import grouping, work

    recorded = {run.id for run in runs} - work.missing(runs, settings, retry_failed=False)
    wanted = frozenset(run.id for run in runs if again or run.id not in recorded)
    more = " and saves its delta" if settings.save_delta else ""
    for run in runs:
        if run.id not in wanted:
            file = records.path(settings.output, run)
            print(f"already recorded ({run.describe()}): {file}; --again trains it anew{more}", file=sys.stderr)
    if wanted:
        from peftcli.launchers import launch
        from peftcli.preflight import refusals

        left = [run for run in runs if run.id in wanted]
        refused = refusals.check(settings.model, left, settings.source, settings.allow_other_data)
        refusals.settle(refused, {run.task for run in left})
        cohorts = grouping.cut(runs, settings, grouping.decide(runs, settings, None))
        launch.train_here(work.WorkUnit(tuple(cohorts), wanted), settings)
    ended = [record for run in runs if (record := records.find(settings.output, run)) is not None]
    print("\n".join(map(_text, ended)))
    return 0 if all(record.status == "completed" for record in ended) else 1


def _text(record: Record) -> str:
    """Describe a record: the last evaluation of each split, and how many weights were trained."""
    head = f"{record.run.describe()}: {record.status}"
    if record.status != "completed":
        return f"{head}: {record.body['error']} ({record.path})"
    # Evaluations are in order, so that of each split the last one stays.
    last = {entry["split"]: entry for entry in record.body["evaluations"]}
    lines = [head]
    # Metrics are fractions here, as in the record itself; reports multiply by 100 where a paper does.
    for split, entry in last.items():
        metrics = {key: value for key, value in entry.items() if key not in ("step", "epoch", "split", "collapsed")}
        numbers = "  ".join(f"{key} {value:.4f}" for key, value in metrics.items())
        lines.append(f"  {split:<12} {numbers}{'  (one answer for every example)' if entry['collapsed'] else ''}")
    counts = record.body["parameters"]
    if counts:
        lines.append(
            f"  {counts['trainable']:,} of {counts['total']:,} weights trained ({counts['trainable_percent']:.4f} %)"
        )
    return "\n".join([*lines, f"  {record.path}"])
