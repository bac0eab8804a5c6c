"""Numbers with samples over seeds, for tests of tested answers: a strategy a letter, on one task."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftcli.report.claims import spec
from peftcli.report.claims.answers import CheckAnswer
from peftcli.report.claims.evidence import Candidate, Evidence, Number
from peftcli.report.claims.tested import registry
from peftcli.report.statistics import describe
from peftcli.report.statistics.contrast import Sample
from tests.report.claims.test_evidence import number

A, B, C = (62.0, 61.5, 63.0, 62.5, 61.0), (60.0, 61.0, 60.5, 60.2, 59.5), (58.0, 59.0, 57.5, 58.5, 57.9)


def of(label: str, *rates: Sequence[float | None], paired: bool = False, **changes: Any) -> Number:
    """A strategy's number, a candidate for each learning rate's values by seed; `changes` are the candidates'."""
    place = {name: changes.pop(name) for name in ("column", "row", "table", "held_out", "setting") if name in changes}
    candidates = []
    for values in rates:
        sample = Sample.of(dict(enumerate(values)))
        assert sample is not None
        pairs = frozenset(range(len(values))) if paired else None
        candidates.append(Candidate(label, sample, **({"pairs": pairs} | changes)))
    mean = max((each.sample.mean for each in candidates), default=None)
    column = place.get("column", "rte")
    words = {"strategy": label, "label": label, "column_label": column.upper()}
    return number(mean, 1.0, **words, **place, candidates=tuple(candidates))


def printed(label: str, mean: float, deviation: float | None, n: int | None, **changes: Any) -> Number:
    """A strategy's printed number."""
    candidate = Candidate(label, Sample.printed(mean, deviation, n, 1), **changes)
    words = {"strategy": label, "label": label, "values": None}
    return number(mean, deviation, **words, candidates=(candidate,))


def answered(check: Mapping[str, Any], *numbers: Number, **about: Any) -> CheckAnswer:
    """Test one check on these numbers."""
    options = spec.KINDS[str(check["kind"])].options
    return registry.test(options.model_validate(dict(check)), Evidence(numbers, **about))


def mean(values: Sequence[float]) -> float:
    """The mean of values that are there."""
    average = describe.mean(values)
    assert average is not None
    return average
