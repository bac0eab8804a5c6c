"""Pairs of numbers over seeds and examples together, from the predictions kept beside records. No torch.

Each run's predictions are read and resampled once, however many pairs it is in: the differences of a table and the
comparisons of its claims are asked for at once. All numbers on one test set have the same resamples: a difference is of two
strategies on the same examples.
"""

import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli import records
from peftcli.records import predictions
from peftcli.records.predictions import Predictions
from peftcli.report.statistics import describe
from peftcli.tasks import metrics, own_data

if TYPE_CHECKING:
    from numpy import float32, ndarray
    from numpy.typing import NDArray

    from peftcli.report.statistics.examples import Joint, Resampled

NOT_KEPT = "no predictions were kept"
ONE_SIDE = "predictions were kept of one of the two alone"
PATIENCE = 2.0  # seconds without a word
# How far a score of kept predictions may be from the recorded one, as fractions: numbers are kept with 24 bits.
CLOSE = {"classes": 1e-9, "entities": 1e-9, "numbers": 1e-4}


@dataclass(frozen=True)
class Runs:
    """The runs that a number is the mean of, one a seed, and where their predictions are.

    `values` are their scores by seed, None for a run that left none, in a unit of which 1 as a fraction is `scale`; `files`
    their records by seed, below the results folder.
    """

    task: str
    split: str
    metric: str
    values: Mapping[int, float | None]
    files: Mapping[int, str]
    scale: float

    @property
    def key(self) -> str:
        """What tells it from others: equal ones are resampled once."""
        return repr((sorted(self.files.items()), self.split, self.metric, self.scale))


@dataclass(frozen=True)
class Pair:
    """Two numbers whose difference is asked for; `paired` says that the same seed controls the same thing in both."""

    one: Runs
    other: Runs
    paired: bool


@dataclass(frozen=True)
class OverExamples:
    """A difference over seeds and examples together, in the unit of its numbers; None and a reason where it cannot be told."""

    joint: "Joint | None"
    why_not: str = ""


@dataclass(frozen=True)
class _Scored:
    """A number's runs on the same examples, and a digest of which examples these are."""

    resampled: "Resampled"
    examples: str


def compare(pairs: Sequence[Pair], output: Path) -> list[OverExamples]:
    """Return the difference of every pair over seeds and examples together, in order; `output` is the results folder.

    That it takes longer than two seconds is said on stderr. Raises UserError for predictions that do not read back.
    """
    compared: dict[int, OverExamples] = {}
    scored: dict[str, _Scored | str] = {}
    started, told = time.monotonic(), False
    # Test set by test set: numbers on the same one have the same resamples, of which one set is held at a time.
    order = sorted(range(len(pairs)), key=lambda at: (pairs[at].one.task, pairs[at].one.split))
    for number, at in enumerate(order):
        compared[at] = _compare(pairs[at], output, scored)
        if not told and time.monotonic() - started > PATIENCE:
            told = True
            rest = (time.monotonic() - started) / (number + 1) * (len(pairs) - number - 1)
            print(
                f"resampling the examples of {len(pairs)} differences: {number + 1} done, about {rest:.0f} s to go",
                file=sys.stderr,
                flush=True,
            )
    return [compared[at] for at in range(len(pairs))]


def _compare(pair: Pair, output: Path, scored: dict[str, _Scored | str]) -> OverExamples:
    """Compare two numbers over seeds and examples; `scored` holds what was resampled already."""
    for runs in (pair.one, pair.other):
        if runs.key not in scored:
            scored[runs.key] = _score(runs, output)
    one, other = scored[pair.one.key], scored[pair.other.key]
    if (one == NOT_KEPT) != (other == NOT_KEPT):
        return OverExamples(None, ONE_SIDE)
    if isinstance(one, str):
        return OverExamples(None, one)
    if isinstance(other, str):
        return OverExamples(None, other)
    if one.examples != other.examples:
        return OverExamples(None, "the two were evaluated on different examples")
    from peftcli.report.statistics import examples

    joint = examples.joint(one.resampled, other.resampled, pair.paired)
    return OverExamples(joint, "" if joint else "no variance over seeds")


def _score(runs: Runs, output: Path) -> _Scored | str:
    """Resample the examples of a number's runs, in its unit; a string says why that cannot be done."""
    seeds = [seed for seed, value in runs.values.items() if describe.finite([value])]
    files = [output / runs.files[seed] for seed in seeds if seed in runs.files]
    read = [kept for file in files if (kept := predictions.read(file, runs.split)) is not None]
    if not read:
        return NOT_KEPT
    if len(read) < len(seeds):
        return f"predictions were kept of {len(read)} of {len(seeds)} runs"
    digests = {_digest(kept) for kept in read}
    if len(digests) > 1:
        return "its runs were evaluated on different examples"
    kind, kept = metrics.takes(runs.metric), read[0]
    if len(kept.labels) != len(kept.numbers) and kept.lengths is None:
        return "predictions of an earlier version do not tell a sentence's words"
    if len(kept.numbers) < 2:
        return "there is one example"
    from peftcli.report.statistics import examples, weighted

    names = _label_names(runs.task, files[0]) if kind == "entities" else ()
    answers = [each.logits if kind == "numbers" else each.logits.argmax(-1) for each in read]
    weights = _weights(len(kept.numbers), examples.RESAMPLES)
    whole, resampled = (
        runs.scale * weighted.scores(runs.metric, answers, kept.labels, of, kept.lengths, names)
        for of in (weights[:, :1], weights[:, 1:])
    )
    values = {seed: value for seed in seeds if (value := runs.values[seed]) is not None}
    # A seed's value may be the mean of several runs, and old files may hold another evaluation than the one that counts.
    if any(
        abs(score - value) > runs.scale * CLOSE[kind] for score, value in zip(whole[:, 0], values.values(), strict=True)
    ):
        return "predictions do not come to the recorded score"
    return _Scored(examples.Resampled(values, resampled, len(kept.numbers)), digests.pop())


@lru_cache(maxsize=1)
def _weights(count: int, resamples: int) -> "NDArray[float32]":
    """Draw the resamples of as many examples, [examples, 1 + resamples]: the first are the examples themselves."""
    import numpy as np

    from peftcli.report.statistics import weighted

    drawn = weighted.draw(count, resamples, describe.generator(0, "examples"))
    return np.column_stack([np.ones(count, dtype=np.float32), drawn])


def _digest(kept: Predictions) -> str:
    """Tell examples apart: their numbers, their labels, and the words of each."""
    parts: list[ndarray] = [kept.numbers, kept.labels, *([] if kept.lengths is None else [kept.lengths])]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def _label_names(task: str, record: Path) -> tuple[str, ...]:
    """Return the names of a task's labels by index, those of a user's own from its run."""
    return own_data.task(task, records.read(record).run.data).labels
