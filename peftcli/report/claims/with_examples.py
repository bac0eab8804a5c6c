"""The comparisons behind claims over seeds and examples together: which are asked for, and putting them beside the tests.

They change no answer: a verdict is about seeds on this test set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from peftcli.report.claims.answers import CheckAnswer, ClaimAnswer, Comparison, Part
from peftcli.report.claims.verdicts import Judged
from peftcli.report.table.resampling import OverExamples, Pair


def pairs(claims: Sequence[Judged]) -> list[Pair]:
    """Return the two numbers in the lead of every comparison that has an interval over seeds and is of runs of ours."""
    return [
        comparison.leading
        for claim in claims
        for tested in (claim.tested, claim.by_test_tested)
        for check in (tested.checks if tested else ())
        for comparison in check.comparisons
        if comparison.leading is not None
    ]


def put(claims: Sequence[Judged], compared: Sequence[OverExamples]) -> tuple[Judged, ...]:
    """Return the claims with what their `pairs` came to, in the same order."""
    following = iter(compared)
    return tuple(
        replace(claim, tested=_answer(claim.tested, following), by_test_tested=_answer(claim.by_test_tested, following))
        for claim in claims
    )


def _answer(tested: ClaimAnswer | None, following: Iterator[OverExamples]) -> ClaimAnswer | None:
    def comparison(each: Comparison) -> Comparison:
        return each if each.leading is None else replace(each, over_examples=next(following))

    def part(each: Part) -> Part:
        return replace(each, comparisons=tuple(map(comparison, each.comparisons)))

    def check(each: CheckAnswer) -> CheckAnswer:
        return replace(each, parts=tuple(map(part, each.parts)))

    return tested and replace(tested, checks=tuple(map(check, tested.checks)))
