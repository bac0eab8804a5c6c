"""Everything that a recipe's model, strategies and data can be refused for, said before its first run trains.

`sweep`, `train` and `doctor` ask the same function, and so refuse the same things in the same words.
"""

import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from peftcli.data import tokenizers
from peftcli.data.loading import Prepared, prepare
from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.run import Run, canonical, task_of
from peftcli.models import catalogue, fitting, weights
from peftcli.models.files import fetch_model, locate
from peftcli.preflight import availability
from peftcli.tasks import imported_only, metrics

Source = Callable[[Run], Path | None]  # where a run's task is read from


@dataclass(frozen=True)
class Refusal:
    """What cannot be trained (`model minilm`, `task rte`), and why, in the words of the error.

    `task` names the task whose runs alone it keeps from training; None where it keeps all of them.
    """

    subject: str
    message: str
    task: str | None = None


def check(model: str, runs: Sequence[Run], source: Source, allow_other_data: bool) -> list[Refusal]:
    """Look at the model, the tokenizer, the strategies and the tasks of runs, the cheap things first.

    A model that is refused leaves nothing to tokenise, so the data are then not looked at. A hub model that is not in the
    local cache is downloaded. Tokenised data stay cached for the runs themselves.
    """
    imported = _only_imported(runs)
    runs = [run for run in runs if run.task not in {refusal.task for refusal in imported}]
    if not runs:
        return imported
    try:
        folder = _folder(model)
    except UserError as error:
        return [*imported, Refusal(f"model {model}", str(error))]
    refused = imported + (list(_of_model(model, folder)) or [*_of_strategies(model, runs), *_of_tokenizer(model, runs)])
    if len(refused) > len(imported):
        return refused
    for task in dict.fromkeys(run.task for run in runs):
        refused += _of_task(model, [run for run in runs if run.task == task], source, allow_other_data)
    return refused


def _only_imported(runs: Sequence[Run]) -> list[Refusal]:
    """The refusals of tasks that have nothing to train on."""
    refused = []
    for name, task in {run.task: task_of(run) for run in runs}.items():
        try:
            imported_only.refuse(name, task)
        except UserError as error:
            refused.append(Refusal(f"task {name}", str(error), name))
    return refused


def unreadable(errors: dict[str, UserError]) -> list[Refusal]:
    """The refusals of tasks whose own data cannot be planned with, from their errors by task."""
    return [Refusal(f"task {task}", str(error), task) for task, error in errors.items()]


def settle(refused: Sequence[Refusal], tasks: Collection[str]) -> frozenset[str]:
    """Say what is refused, and return the tasks that are left out. Raises UserError where no task is left to train.

    `tasks` are those with something to train.
    """
    without = frozenset(refusal.task for refusal in refused if refusal.task is not None)
    nothing_left = any(refusal.task is None for refusal in refused) or not set(tasks) - without
    if refused and nothing_left:
        for refusal in refused[:-1]:
            print(f"peftcli: {refusal.message}", file=sys.stderr)
        raise UserError(refused[-1].message)
    for refusal in refused:
        print(f"refused: {refusal.message}", file=sys.stderr)
    return without


def _folder(model: str) -> Path:
    """The folder of a model's files, those of a hub model fetched where they are not there."""
    availability.check_model(model)
    folder = weights.folder(model)
    if folder is not None and (catalogue.is_local(model) or weights.are_in(folder)):
        return folder
    return fetch_model(*catalogue.pin(model))


def _of_model(model: str, folder: Path) -> Iterator[Refusal]:
    try:
        fitting.check(model, catalogue.read_config(folder / "config.json"), folder)
        from peftcli.engine import backbone

        backbone.check_builds(model, folder)
    except UserError as error:
        yield Refusal(f"model {model}", str(error))


def _of_strategies(model: str, runs: Sequence[Run]) -> Iterator[Refusal]:
    """Ask every strategy what it selects on the model, once for each head that it is trained with."""
    said: set[str] = set()
    for run in {(_shape(run), run.protocol.compile): run for run in runs}.values():
        try:
            tuning = parameters.run_tuning(model, run)
            if run.protocol.compile:
                from peftcli.engine import compiling

                compiling.check(run.strategy, tuning, catalogue.config(model))
        except UserError as error:
            if str(error) not in said:
                yield Refusal(f"strategy {run.strategy}", str(error))
            said.add(str(error))


def _shape(run: Run) -> str:
    """What decides which tensors a run trains, besides the model."""
    task = task_of(run)
    return json.dumps([run.strategy, run.options, task.kind, len(task.labels), run.protocol.head], sort_keys=True)


def _of_tokenizer(model: str, runs: Sequence[Run]) -> Iterator[Refusal]:
    try:
        # A token task asks more of a tokenizer than any other: the characters that its tokens come from.
        kinds = {task_of(run).kind for run in runs}
        tokenizers.load(locate(model), "token" if "token" in kinds else "pair")
    except UserError as error:
        yield Refusal(f"tokenizer {model}", str(error))


def _of_task(model: str, runs: Sequence[Run], source: Source, allow_other_data: bool) -> Iterator[Refusal]:
    """Read, tokenise and divide a task's data as each of its protocols asks."""
    from peftcli.preflight import rehearsal

    alike: dict[bytes, list[Run]] = {}
    for run in runs:
        alike.setdefault(canonical(run.protocol.model_dump()), []).append(run)
    for of_protocol in alike.values():
        try:
            prepared = prepare(of_protocol[0], model, source(of_protocol[0]), allow_other_data)
            _check_scores(prepared)
            if prepared.task.kind == "token":
                # Every seed divides the sentences otherwise, and a part may be left without a labelled word.
                for run in {run.seed: run for run in of_protocol}.values():
                    prepare(run, model, source(run), allow_other_data)
        except UserError as error:
            # Another protocol would most often meet the same fault, after reading all of it again.
            yield Refusal(f"task {of_protocol[0].task}", str(error), of_protocol[0].task)
            return
        for run in {_shape(run): run for run in of_protocol if rehearsal.is_due(run)}.values():
            try:
                rehearsal.rehearse(model, run, prepared)
            except UserError as error:
                yield Refusal(f"strategy {run.strategy}", str(error))


def _check_scores(prepared: Prepared) -> None:
    """Score the right answers as if they were predictions: what a metric cannot read would end the sweep after an epoch."""
    task = prepared.task
    for split, examples in prepared.evaluation.items():
        lengths = None if examples.word_starts is None else np.diff(examples.word_starts)
        try:
            metrics.compute(task.metrics, examples.labels, examples.labels, task.labels, lengths)
        except UserError as error:
            raise UserError(f"task {task.name}, split {split}: {error}") from None
