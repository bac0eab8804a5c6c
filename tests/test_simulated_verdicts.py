"""Tested answers err as rarely as docs/statistics.md says; a small simulation needs each of their corrections."""

import math
from collections.abc import Sequence

import pytest

from peftcli.report.claims.tested import ranking
from peftcli.report.statistics import combining
from peftcli.report.statistics.combining import Statement
from peftcli.report.statistics.contrast import Sample, welch
from tests.benchmarks import verdict_tables, verdicts
from tests.benchmarks.verdicts import Design

BY_NAME = {scenario.name: scenario for scenario in verdicts.SCENARIOS}
FIVE = Design(5, 5)
TABLES = 400


def bound(rate: float, tables: int, errors: float = 3.0) -> float:
    """The rate, and what a simulation of so many tables may be above it by chance."""
    return rate + errors * math.sqrt(rate * (1 - rate) / tables)


def test_the_page_has_the_counts_that_were_made() -> None:
    page = verdict_tables.PAGE.read_text(encoding="utf-8")
    assert verdict_tables.put(page, verdict_tables.read()) == page


def test_no_answer_is_wrong_more_often_than_it_may_be_on_normal_values() -> None:
    counted = [count for count in verdict_tables.read() if count.distribution == "normal"]
    assert {scenario.name for scenario in verdicts.SCENARIOS} < {count.scenario for count in counted}
    twice = ("welch, not different by 1", "welch, different", "marked ‡")  # two tests at 2.5 %, or one on both sides
    for count in counted:  # four hundred rates: the largest of them lies three standard errors above
        if not count.scenario.startswith(("power", "worst of ten at")):
            allowed = 0.06 if count.scenario.startswith("tie groups") else 0.05 if count.scenario in twice else 0.025
            assert count.supported / count.tables <= bound(allowed, count.tables), count
            assert (count.contradicted or 0) / count.tables <= bound(0.025, count.tables), count


def _all_as_they_are(k: int, statements: Sequence[Statement]) -> Statement:
    supporting = sorted(statement.supporting for statement in statements)[k - 1]
    against = sorted(statement.against for statement in statements)[len(statements) - k]
    return Statement(supporting, against, True)


def _each_pair_by_itself(samples: Sequence[Sample]) -> list[list[float | None]]:
    return [[None if one is other else welch(one, other).p_above() for other in samples] for one in samples]


@pytest.mark.parametrize(
    "name",
    [
        "better in 7 columns, equal in all",  # contradicted without Holm
        "better, best of 7 rates against 1",  # supported without Holm
        "how many: 5 of 9, 4 true and 5 level",
        "best of 10, all equal",  # contradicted without Games and Howell
    ],
)
def test_a_small_simulation_needs_every_correction(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> float:
        count = verdicts.answered(BY_NAME[name], FIVE, "normal", TABLES)
        return max(count.supported, count.contradicted or 0) / count.tables

    assert wrong() <= bound(0.025, TABLES)
    monkeypatch.setattr(combining, "at_least", _all_as_they_are)
    monkeypatch.setattr(ranking.games_howell, "pairs", _each_pair_by_itself)
    assert wrong() > bound(0.025, TABLES)
