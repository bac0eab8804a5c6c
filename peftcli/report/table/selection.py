"""From records to the numbers that count: which evaluation of a run, which learning rate of a strategy. No torch.

Records hold every evaluation; what counts is decided here, when reporting, so that another rule needs no training.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from peftcli import records
from peftcli.experiment.plan import Planned
from peftcli.experiment.run import Run
from peftcli.experiment.settings import Training
from peftcli.records import origin
from peftcli.records.origin import Origin
from peftcli.report.statistics import describe
from peftcli.tasks import registry as tasks

State = Literal["missing", "completed", "diverged", "failed", "damaged"]
Scores = Mapping[str, Mapping[str, Any]]  # split -> metric -> fraction


# What a run's last digits depend on, and at a low precision more than those.
COMPUTED = ("device", "precision")


@dataclass(frozen=True)
class Outcome:
    """What a planned run came to. `scores` are those of the evaluation that counts, empty unless the run completed.

    `chooser` is the metric that learning rates are chosen by, `held_out` its value on the held-out part of the training
    set (None where the protocol has none). `collapsed` names the splits where every example got the same answer.
    `origin` are the fingerprints of the model, tokenizer and data that its record names.
    """

    planned: Planned
    state: State
    scores: Scores
    chooser: str
    held_out: float | None
    collapsed: frozenset[str]
    parameters: Mapping[str, Any]
    cost: Mapping[str, Any]
    environment: Mapping[str, Any]
    error: str
    origin: Origin = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """The run."""
        return self.planned.run

    @property
    def computed(self) -> Mapping[str, str]:
        """The device the run was trained on, and the precision; without what its record does not say."""
        return {key: str(self.environment[key]) for key in COMPUTED if self.environment.get(key)}

    def value(self, split: str, metric: str) -> float | None:
        """Return the metric on a split, as a fraction; None where the run left none."""
        score = self.scores.get(split, {}).get(metric)
        return None if score is None else float(score)


def outcomes(planned: Iterable[Planned], output: Path) -> list[Outcome]:
    """Read what became of each planned run, in their order; only these records are read."""
    return [_outcome(each, output) for each in planned]


def missing(planned: Planned) -> Outcome:
    """Return the outcome of a run without a record."""
    return Outcome(planned, "missing", {}, chooser(planned.run), None, frozenset(), {}, {}, {}, "")


def chooser(run: Run) -> str:
    """Name the metric that evaluations and learning rates are chosen by: the protocol's, else the task's first."""
    if run.protocol.metric:
        return run.protocol.metric
    if run.task in tasks.TASKS:
        return tasks.TASKS[run.task].metrics[0]
    # A task of the user's own names its metrics in its run.
    metrics = (run.data or {}).get("metrics")
    return str(metrics[0]) if isinstance(metrics, list) and metrics else "accuracy"


def reported_split(split: str, training: Training) -> str:
    """Name the split that a column reads: the official development set is `test` where validation was held out."""
    return split.replace("validation", "test", 1) if training.validation_share else split


def counted(evaluations: Sequence[Mapping[str, Any]], training: Training, metric: str) -> dict[str, Mapping[str, Any]]:
    """Return each split's evaluation that counts: the best by `metric` where best weights are restored, else the last.

    The best is the highest on the first validation split, of equal ones the first or the last (`ties`); other splits
    count as evaluated at that step.
    """
    if not evaluations:
        return {}
    # MNLI has two validation splits: the matched one, evaluated first, decides for both.
    choosing = next((e["split"] for e in evaluations if e["split"].startswith("validation")), evaluations[-1]["split"])
    candidates = [e for e in evaluations if e["split"] == choosing and metric in e]
    if not training.restore_best or not candidates:
        return {evaluation["split"]: evaluation for evaluation in evaluations}  # the last of each split
    # As training does when it keeps the best weights; max() takes the first of equals.
    ordered = candidates if training.ties == "first" else reversed(candidates)
    step = max(ordered, key=lambda evaluation: evaluation[metric])["step"]
    counting: dict[str, Mapping[str, Any]] = {}
    for evaluation in evaluations:
        if evaluation["step"] == step:
            counting.setdefault(evaluation["split"], evaluation)
    return counting


def best_rate(rates: Mapping[float, Sequence[Outcome]], split: str, held_out: bool = False) -> float | None:
    """Choose a learning rate by the mean over seeds of the chooser on `split`, or on the held-out validation split.

    Only rates with the most values are candidates, so one that lost a seed is not chosen over one that did not. The
    lower rate wins a tie. None where no run left a value.
    """
    values = {
        rate: describe.finite(
            outcome.held_out if held_out else outcome.value(split, outcome.chooser) for outcome in runs
        )
        for rate, runs in sorted(rates.items())
    }
    most = max(map(len, values.values()), default=0)
    means = {rate: describe.mean(scores) for rate, scores in values.items() if len(scores) == most > 0}
    # Rates ascend, and max() takes the first of equals: the lower one.
    return max(means, key=lambda rate: means[rate] or 0.0) if means else None


def _outcome(planned: Planned, output: Path) -> Outcome:
    """Read a run's record, and choose the evaluation that counts."""
    file = records.path(output, planned.run)
    metric = chooser(planned.run)
    try:
        body = records.read(file).body
    except records.Unreadable as error:
        if not file.exists():
            return missing(planned)
        return Outcome(planned, "damaged", {}, metric, None, frozenset(), {}, {}, {}, str(error))
    # Sound, but copied or renamed over this run's record.
    if body["id"] != planned.run.id:
        return Outcome(planned, "damaged", {}, metric, None, frozenset(), {}, {}, {}, "holds another run")
    training = planned.run.protocol
    scores = counted(body["evaluations"], training, metric) if body["status"] == "completed" else {}
    return Outcome(
        planned=planned,
        state=body["status"],
        scores=scores,
        chooser=metric,
        # Where examples were held out, they are `validation`, and the official development set is `test`.
        held_out=scores.get("validation", {}).get(metric) if training.validation_share else None,
        collapsed=frozenset(split for split, evaluation in scores.items() if evaluation.get("collapsed")),
        parameters=body["parameters"] or {},
        cost=body["cost"] or {},
        environment=body["environment"] or {},
        error=body["error"] or "",
        origin=origin.of(body),
    )


def computed_apart(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """In which of device and precision runs that stand for one number differ."""
    together = [outcome.computed for outcome in outcomes]
    return tuple(key for key in COMPUTED if len({each[key] for each in together if key in each}) > 1)
