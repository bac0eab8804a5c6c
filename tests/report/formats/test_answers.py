"""Tested answers in words: what they lack, p and Holm's, seeds to decide, and the comparison that decides first."""

from dataclasses import replace

from peftcli.report.claims import spec
from peftcli.report.claims.answers import ClaimAnswer, Seeds
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.tested import answering
from peftcli.report.claims.verdicts import Judged
from peftcli.report.formats import answers, lines
from tests.report.claims.samples import A, B, C, of

EVIDENCE = Evidence((of("a", A), of("b", B), of("c", C)))


def answer_of(*strategies: str, than: str, **more: object) -> ClaimAnswer:
    check = {"kind": "better", "strategies": list(strategies), "than": than, **more}
    return answering.answer(spec.parse({"claim": "-", "checks": [check]}, "-"), EVIDENCE)


def test_an_answer_says_what_it_lacks_and_what_would_decide_it() -> None:
    found = replace(answer_of("a", than="b"), p_value=0.0123, holm=0.05)
    assert answers.answer(found) == "supported, p = 0.012 (Holm 0.05)"
    open_one = ClaimAnswer(
        "leans for", "fewer than 3 seeds", None, (), Seeds(1234, 0.5, 3, "RTE: a, b"), caution="best of 7"
    )
    assert answers.answer(open_one) == (
        "leans for (fewer than 3 seeds; best of 7); to decide: 1,234 seeds (0.5 points in 3 comparisons at once, 80 % power, "
        "hardest RTE: a, b)"
    )
    assert (
        answers.seeds(replace(open_one, seeds=Seeds(None, 1.0, 1, "-")))
        == "to decide: > 1,000 seeds (1 point, 80 % power)"
    )
    assert (answers.p(0.00001), answers.p(0.25)) == ("p < 0.0001", "p = 0.25")


def test_the_comparison_that_decides_comes_first() -> None:
    supported = [each.one for each in answers.ordered(answer_of("a", "b", than="c"))]
    assert supported == ["b", "a"], "the least certain of those that must all be shown"
    against = [each.one for each in answers.ordered(answer_of("a", "b", "c", than="b"))]
    assert against[0] == "c", "the one that fails"


def test_a_comparison_is_a_line() -> None:
    (found,) = answer_of("a", than="b", by=1).checks[0].comparisons
    assert found.interval is not None
    low, high = found.interval
    assert answers.comparison(found) == (
        f"RTE: a − b +1.76 [{low:.2f}, {high:.2f}], boundary 1, Welch's t, n = 5 and 5, "
        f"{answers.p(found.p_value or 0)}: leans for"
    )
    unknown = replace(found, estimate=None, interval=None, p_value=None, answer="cannot be judged", why_not="maxima")
    assert answers.comparison(unknown) == "RTE: a − b, boundary 1: cannot be judged (maxima)"


def test_a_claim_tells_each_answer_once_with_what_decides_it() -> None:
    found = answer_of("a", than="b")
    judged = Judged("a beats b", "", "holds", (), "", "holds", (), tested=found, printed_tested=found)
    one, other = answer_of("a", than="b"), answer_of("c", than="b")
    words = list(lines.claim(judged))
    assert [line.partition(",")[0] for line in words] == [
        "[holds] a beats b",
        "  tested: supported",
        f"    {answers.comparison(one.checks[0].comparisons[0]).partition(',')[0]}",
        "  tested",
    ]
    apart = list(lines.claim(replace(judged, printed_tested=other)))
    assert apart[-1] == f"    {answers.comparison(other.checks[0].comparisons[0])}"
