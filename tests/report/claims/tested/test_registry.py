"""Which kinds have a tested answer, and that the others say that there is no valid test."""

from peftcli.report.claims import spec
from peftcli.report.claims.tested import registry
from tests.report.claims.samples import A, B, answered, of

WITHOUT = {
    *("overlap", "near majority", "above majority", "never learns", "goes back"),
    *("rank correlation", "trend", "common trend"),
}


def test_every_kind_has_a_test_or_none_that_is_valid() -> None:
    assert set(registry.LISTERS) == set(spec.KINDS) - WITHOUT
    assert set(spec.KINDS) > WITHOUT


def test_a_kind_without_a_test_cannot_be_judged() -> None:
    found = answered({"kind": "overlap", "strategies": "a", "than": "b"}, of("a", A), of("b", B))
    assert (found.answer, found.statement.why_not, found.comparisons) == ("cannot be judged", "no valid test", ())


def test_deviations_are_not_tested() -> None:
    check = {"kind": "better", "strategies": "a", "than": "b"}
    assert answered(check, of("a", A), of("b", B)).answer == "supported"
    assert answered(check | {"measure": "std"}, of("a", A), of("b", B)).statement.why_not == "no valid test"


def test_nothing_to_compare_is_no_answer() -> None:
    found = answered({"kind": "how many", "than": "a", "at_least": 1}, of("a", A))
    assert (found.answer, found.statement.why_not) == ("cannot be judged", "no number")
