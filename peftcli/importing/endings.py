"""From the rows of one run, and its curve beside them, to what a record says of how it ended. No torch."""

from collections.abc import Sequence
from typing import Any, cast

from peftcli.errors import UserError
from peftcli.experiment.run import Run, task_of
from peftcli.experiment.schedule import schedule, training_examples
from peftcli.importing import header as headers
from peftcli.importing.rows import Measured, Row
from peftcli.records import flat
from peftcli.records.body import Cost, DataRead, Ending, Environment, Evaluation, Parameters, Status, TrainingLoss
from peftcli.report.table import selection

UNSAID = 0  # the step of an evaluation where nothing says when it was made


def ending(run: Run, rows: Sequence[Row], curve: Sequence[Measured]) -> Ending:
    """Return how an imported run ended, with what its rows say of that, of its cost and of where it was trained.

    Where they do not say it the run completed, for it left numbers, and its cost is not known. A row that does not say
    its step is of the evaluation that counts: the best on the curve by the run's protocol, or where the file says that
    the best was. Raises UserError where two rows say the same thing of one moment, or not the same of the end.
    """
    moments = _Moments(run)
    for measured in curve:
        if clash := moments.add(measured, measured.step or UNSAID):
            raise UserError(f"the curve of {run.describe()} has {clash} twice at step {measured.step}")
    counting = _counting_step(run, rows, moments.evaluations())
    for row in rows:
        step = counting if row.measured.step is None else row.measured.step
        if clash := moments.add(row.measured, step):
            numbers = " and ".join(str(other.number) for other in rows[:2])
            raise UserError(
                f"rows {numbers} (from 0) are both {clash} of {run.describe()}: a column repeat tells runs of one seed "
                "apart, a column step the evaluations of one run"
            )
        # With a curve the best is there already.
        best: dict[tuple[str, str | None], float] = {
            (split, None): score for split, score in row.best.items() if split not in moments.splits()
        }
        moments.add(Measured(step, row.measured.epoch, best), step)
    parts = {column: value for row in rows for column, value in row.parts.items()}
    return {
        "status": cast(Status, _said(run, rows, "status") or "completed"),
        "parameters": _parameters(rows),
        "training": moments.training([*curve, *(row.measured for row in rows)]),
        "evaluations": moments.evaluations(),
        "cost": cast(Cost | None, flat.part("cost", parts)),
        "environment": cast(Environment | None, flat.part("environment", parts)),
        "data": cast(DataRead | None, flat.part("data", parts)),
        "error": _said(run, rows, "error"),
    }


class _Moments:
    """What is gathered of one run: an evaluation for each step and split."""

    def __init__(self, run: Run) -> None:
        self.chooser = selection.chooser(run)
        size = task_of(run).sizes.get("train")
        # Where the task's size is not published nothing says how many steps are an epoch.
        self.epoch = schedule(run.protocol, training_examples(size, run.protocol)).epoch if size else None
        self.at: dict[tuple[int, str], dict[str, Any]] = {}

    def add(self, measured: Measured, step: int) -> str:
        """Add scores; return the first that was there already and is left as it was, "" where none was."""
        clash = ""
        # What a table says of a collapse comes before what follows from a score.
        ordered = sorted(measured.scores.items(), key=lambda score: score[0][1] != headers.COLLAPSED)
        for (split, metric), value in ordered:
            new = {"step": step, "epoch": self._epoch(measured, step), "split": split}
            evaluation = self.at.setdefault((step, split), new)
            name = metric or self.chooser
            if name in evaluation:
                clash = clash or f"the {name} on {split}"
                continue
            evaluation[name] = value
            # Matthews' correlation is exactly 0 where every example got the same answer.
            if name == "matthews":
                evaluation.setdefault(headers.COLLAPSED, value == 0)
        return clash

    def splits(self) -> set[str]:
        """The splits that there are evaluations of."""
        return {split for _, split in self.at}

    def evaluations(self) -> list[Evaluation]:
        """The evaluations by step, those of one step as they were added."""
        return [cast(Evaluation, self.at[key]) for key in sorted(self.at, key=lambda key: key[0])]

    def training(self, measured: Sequence[Measured]) -> list[TrainingLoss]:
        """The training losses by step."""
        losses: list[TrainingLoss] = [
            {"step": each.step, "epoch": self._epoch(each, each.step), "loss": each.training_loss}
            for each in measured
            if each.training_loss is not None and each.step is not None
        ]
        return sorted(losses, key=lambda loss: loss["step"])

    def _epoch(self, measured: Measured, step: int) -> float:
        if measured.epoch is not None:
            return measured.epoch
        return step / self.epoch if self.epoch else 0.0


def _counting_step(run: Run, rows: Sequence[Row], curve: Sequence[Evaluation]) -> int:
    """Return the step of the evaluation that counts, by the curve or by what the rows say of the best."""
    if curve:
        counted = selection.counted_of(run, curve)
        validation = [e["step"] for split, e in counted.items() if split.startswith("validation")]
        return int(next(iter(validation), curve[-1]["step"]))
    stated = next((row.best_steps for row in rows if row.best_steps), {})
    # Of equal evaluations the protocol says which one counts.
    wanted = f"{run.protocol.ties}_best"
    return stated.get(wanted, next(iter(stated.values()), UNSAID))


def _said(run: Run, rows: Sequence[Row], word: str) -> str | None:
    """Return what a run's rows say of how it ended; None where they do not. Raises UserError where they disagree."""
    said = dict.fromkeys(row.words[word] for row in rows if word in row.words)
    if len(said) > 1:
        raise UserError(f"rows of {run.describe()} disagree on its {word}: {' and '.join(said)}")
    return next(iter(said), None)


def _parameters(rows: Sequence[Row]) -> Parameters | None:
    """Return what the file says of the model's parameters; None where it says nothing."""
    counts: dict[str, Any] = dict(next((row.parameters for row in rows if row.parameters), {}))
    if {"total", "trainable"} <= counts.keys() and counts["total"] > 0:
        counts.setdefault("trainable_percent", 100 * counts["trainable"] / counts["total"])
    return cast(Parameters, counts) if counts else None
