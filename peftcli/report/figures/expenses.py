"""What the runs of one strategy on one task column cost, by one measure: parameters, bytes, seconds or memory."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run, task_of
from peftcli.report.statistics.contrast import Sample
from peftcli.report.table.published import Published
from peftcli.report.table.selection import Outcome

Against = Literal["parameters", "bytes", "seconds", "memory"]


@dataclass(frozen=True)
class Measure:
    """How a measure is called: on the axis, behind a number, and where there is none; and the names of its thousands."""

    axis: str
    unit: str
    missing: str
    steps: tuple[str, ...]


COUNTS = ("", "k", "M", "B", "T")
BYTES = (" B", " kB", " MB", " GB", " TB")
MEASURES: Mapping[Against, Measure] = {
    "parameters": Measure("trained parameters (head left out)", "trained parameters", "no count of parameters", COUNTS),
    "bytes": Measure(
        "size of the delta with its head (kB = 1,000 bytes)", "of delta", "no size of a delta recorded", BYTES
    ),
    "seconds": Measure("training time (seconds a run)", "seconds", "no time recorded", ("",)),
    "memory": Measure("peak memory (GB = 10⁹ bytes)", "of memory", "no peak of memory recorded", BYTES),
}


def of_runs(against: Against, recipe: Recipe, outcomes: Sequence[Outcome]) -> Sample | None:
    """Return what completed runs cost on average, in elements, bytes or seconds; None where no record says.

    Parameters and the delta's bytes are a run's. Seconds and memory are measured of a cohort: its seconds are shared
    equally among its runs, its peak of memory is what each of them needed, and runs of one cohort are one measurement,
    however many seeds they have.
    """
    completed = [outcome for outcome in outcomes if outcome.scores]
    if against == "parameters":
        counts = {outcome.run.seed: outcome.parameters.get("trainable") for outcome in completed}
        counted = None if any(count is not None for count in counts.values()) else count(recipe, outcomes[0].run)
        # What somebody else ran may come without its count, which the strategy's architecture has.
        return Sample.of(counts) if counted is None else Sample(counted.trainable, None, 0)
    if against == "bytes":
        return Sample.of({outcome.run.seed: outcome.cost.get("delta_bytes") for outcome in completed})
    return _of_cohorts("seconds" if against == "seconds" else "peak_memory_bytes", completed)


def _of_cohorts(key: Literal["seconds", "peak_memory_bytes"], completed: Sequence[Outcome]) -> Sample | None:
    """Return what was measured of each cohort, once: a run's fraction of its seconds, or the whole of its memory."""
    measured: dict[tuple[object, ...], float] = {}
    for outcome in completed:
        cohort = max(int(outcome.cost.get("cohort") or 1), 1)
        if value := outcome.cost.get(key):
            # The records of a cohort have its time to the last digit; a run alone is told by its seed.
            alone = outcome.run.seed if cohort == 1 else None
            measured[outcome.cost.get("seconds"), cohort, alone] = value / cohort if key == "seconds" else value
    return Sample.of(dict(enumerate(measured.values())))


def of_printed(recipe: Recipe, run: Run, cell: Published) -> Sample | None:
    """Return how many parameters a printed cell's strategy trains: as printed, else as its architecture has it.

    Millions are printed with the head counted in.
    """
    if cell.trainable_millions is not None:
        return Sample(1e6 * cell.trainable_millions, None, 0)
    counted = count(recipe, run)
    if counted is None:
        return None
    if cell.trainable_percent is not None:
        return Sample(counted.total * cell.trainable_percent / 100, None, 0)
    return Sample(counted.trainable, None, 0)


def count(recipe: Recipe, run: Run) -> parameters.Counts | None:
    """Count a run's parameters from its architecture; None where the model's numbers are not at hand."""
    task = task_of(run)
    try:
        return parameters.count(
            recipe.model, run.strategy, run.options, task.kind, len(task.labels) or 1, run.protocol.head
        )
    except UserError:
        return None


def notes(against: Against, outcomes: Iterable[Outcome]) -> list[str]:
    """Say what keeps costs from being compared: several devices, and memory of cohorts of several sizes."""
    completed = [outcome for outcome in outcomes if outcome.scores and outcome.cost]
    if against not in ("seconds", "memory") or not completed:
        return []
    devices = sorted({str(outcome.environment.get("device") or "unknown") for outcome in completed})
    sizes = sorted({max(int(outcome.cost.get("cohort") or 1), 1) for outcome in completed})
    said = [f"Runs of several devices are compared: {', '.join(devices)}."] if len(devices) > 1 else []
    if against == "memory" and sizes[-1] > 1:
        runs = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        said.append(f"Memory is that of a whole cohort, here of {runs} runs together.")
    return said


def in_words(against: Against, value: float) -> str:
    """Write a cost with its unit, to three digits (a count in full)."""
    measure = MEASURES[against]
    if against == "parameters":
        return f"{value:,.0f} {measure.unit}"
    return f"{value:,.3g} {measure.unit}" if against == "seconds" else f"{short(against, value)} {measure.unit}"


def short(against: Against, value: float) -> str:
    """Write a cost as on an axis: 25k, 1.2 MB, 300."""
    if against == "seconds":
        return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
    steps = MEASURES[against].steps
    step = 0
    while value >= 999.5 and step < len(steps) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.3g}{steps[step]}"
