"""From records to the numbers that count: which evaluation of a run, which learning rate of a strategy. No torch.

Records hold every evaluation; what counts is decided here, when reporting, so that another rule needs no training.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from peftcli import records
from peftcli.experiment.plan import Planned
from peftcli.experiment.run import Run
from peftcli.experiment.settings import Training
from peftcli.records import imported, origin
from peftcli.records.body import Body
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
    `origin` are the fingerprints of the model, tokenizer and data that its record names. `source` says in words where an
    imported run comes from; "" for one that was trained here, and `planned_beside` how many runs the recipe plans where
    it stands. `file` is the record's, below the results folder.
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
    source: str = ""
    planned_beside: int = 0
    file: Path = Path()

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
    """Read what became of each planned run, in their order; only these records are read, and the imported ones.

    An imported run stands in its cell whatever its seed. Where there are any, no run of that cell is missing: they are
    what the cell is made of, and their number is said. Raises UserError for an imported record that does not read back.
    """
    trained = [_outcome(each, output) for each in planned]
    by_cell = imported.read_cells(output, [outcome.run for outcome in trained])
    if not by_cell:
        return trained
    together: list[Outcome] = []
    # The records of a cell stand where its first planned run does, so that cells keep the recipe's order.
    waiting, planned_in = dict(by_cell), Counter(imported.cell(outcome.run) for outcome in trained)
    for outcome in trained:
        key = imported.cell(outcome.run)
        for record in waiting.pop(key, ()):
            # The planned run with the record's seed: of one cell all else is equal, and options keep the recipe's order.
            like = replace(outcome.planned, run=outcome.run.model_copy(update={"seed": record.run.seed}))
            ended = _of_record(like, record.body, record.path.relative_to(output))
            together.append(replace(ended, planned_beside=planned_in[key]))
        if outcome.state != "missing" or key not in by_cell:
            together.append(outcome)
    return together


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


def counted_of(run: Run, evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return each split's evaluation of a run that counts, chosen by the run's own metric."""
    return counted(evaluations, run.protocol, chooser(run))


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

    Only rates with values of the most seeds are candidates, so one that lost a seed is not chosen over one that did not;
    imported runs may have several of one seed. The lower rate wins a tie. None where no run left a value.
    """
    values = {
        rate: [(o.run.seed, o.held_out if held_out else o.value(split, o.chooser)) for o in runs]
        for rate, runs in sorted(rates.items())
    }
    seeds = {rate: len({seed for seed, score in of if describe.finite([score])}) for rate, of in values.items()}
    most = max(seeds.values(), default=0)
    means = {rate: describe.mean(score for _, score in of) for rate, of in values.items() if seeds[rate] == most > 0}
    # Rates ascend, and max() takes the first of equals: the lower one.
    return max(means, key=lambda rate: means[rate] or 0.0) if means else None


def _outcome(planned: Planned, output: Path) -> Outcome:
    """Read a run's record, and choose the evaluation that counts."""
    file = records.path(output, planned.run)
    try:
        body = records.read(file).body
    except records.Unreadable as error:
        if not file.exists():
            return missing(planned)
        return _damaged(planned, str(error))
    # Sound, but copied or renamed over this run's record.
    if body["id"] != planned.run.id:
        return _damaged(planned, "holds another run")
    return _of_record(planned, body, file.relative_to(output))


def _damaged(planned: Planned, why: str) -> Outcome:
    return Outcome(planned, "damaged", {}, chooser(planned.run), None, frozenset(), {}, {}, {}, why)


def _of_record(planned: Planned, body: Body, file: Path) -> Outcome:
    """Return what a run came to, by its record."""
    training, metric = planned.run.protocol, chooser(planned.run)
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
        source=_source(body),
        file=file,
    )


def _source(body: Body) -> str:
    """Say where an imported run comes from: who made it, and the file by its name and the head of its checksum."""
    if (source := body.get("origin")) is None:
        return ""
    file = f"{source['file']}, SHA-256 {source['fingerprint'][:12]}"
    return file if source["source"] == source["file"] else f"{source['source']} ({file})"


def computed_apart(outcomes: Iterable[Outcome]) -> tuple[str, ...]:
    """In which of device, precision and source (trained here, or imported) runs that stand for one number differ."""
    with_record = [outcome for outcome in outcomes if outcome.state not in ("missing", "damaged")]
    together = [outcome.computed for outcome in with_record]
    apart = [key for key in COMPUTED if len({each[key] for each in together if key in each}) > 1]
    sources = {outcome.source for outcome in with_record}
    return (*apart, *(["source"] if len(sources) > 1 else []))
