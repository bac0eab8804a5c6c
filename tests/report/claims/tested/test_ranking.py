"""All rows of a column at once: what is shown of their order, read off the corrected pairs by plain loops."""

import pytest

from peftcli.report.claims.tested import ranking
from peftcli.report.claims.tested.ranking import best_is_among, is_among_best, rank
from tests.report.claims.samples import A, B, C, of, printed
from tests.welch import welch

ROWS = [(of("a", A),), (of("b", B),), (of("c", C),)]


def corrected(one: tuple[float, ...], other: tuple[float, ...], groups: int) -> float:
    """The one-sided p of Games and Howell, by SciPy's studentized range."""
    return welch(one, other).among(groups)


def test_pairs_are_those_of_games_and_howell() -> None:
    made = rank(ROWS)
    for i, one in enumerate((A, B, C)):
        for j, other in enumerate((A, B, C)):
            assert made.above[i][j] == pytest.approx(1.0 if i == j else corrected(one, other, 3), abs=1e-4)
    assert made.groups == 3


def test_the_best_is_among_some_where_each_other_is_below_some_row() -> None:
    made = rank(ROWS)
    ab, ac, bc = (corrected(*pair, 3) for pair in ((A, B), (A, C), (B, C)))
    best = best_is_among(made, [0])
    assert best.supporting == pytest.approx(max(ab, min(ac, bc)), abs=1e-4), "both others are below some row"
    assert (best.answer, best.leans) == ("supported", True)
    second = best_is_among(made, [1])
    assert second.against == pytest.approx(ab, abs=1e-4)
    assert (second.answer, second.leans) == ("contradicted", False)
    worst = best_is_among(made, [2], sign=-1)
    assert worst.supporting == pytest.approx(max(bc, min(ac, ac), min(bc, ab)) if bc > ac else ac, abs=1e-4)
    assert best_is_among(made, [0, 1, 2]).answer == "supported", "no row is left to be better"
    assert best_is_among(made, []).answer == "cannot be judged"


def test_a_place_is_held_where_enough_rows_are_below() -> None:
    made = rank(ROWS)
    first, second = is_among_best(made, 0, 1), is_among_best(made, 1, 2)
    ab, ac, bc = (corrected(*pair, 3) for pair in ((A, B), (A, C), (B, C)))
    assert first.supporting == pytest.approx(max(ab, ac), abs=1e-4)
    assert second.supporting == pytest.approx(bc, abs=1e-4), "one row below is enough for the second place of three"
    assert is_among_best(made, 2, 1).against == pytest.approx(min(ac, bc), abs=1e-4)
    assert is_among_best(made, 2, 2).against == pytest.approx(max(ac, bc), abs=1e-4)
    assert is_among_best(made, 2, 3).supporting == 0.0, "every row is among the best three of three"


def test_a_row_at_several_rates_is_above_where_any_of_them_is_above_all() -> None:
    made = rank([(of("a", B, A),), (of("b", C, B),)])
    assert made.above[0][1] == pytest.approx(max(corrected(A, C, 4), corrected(A, B, 4)), abs=1e-4)
    assert made.leads[0] is not None
    assert made.leads[0].sample.mean == pytest.approx(62.0)


def test_rows_without_a_test_show_nothing_and_say_why() -> None:
    two = rank([*ROWS, (of("d", (50.0, 51.0)),)])
    assert two.why_not == "fewer than 3 seeds"
    assert best_is_among(two, [0]).answer == "leans for"
    assert best_is_among(two, [1]).answer == "contradicted", "the others are compared all the same"
    collapsed = rank([ROWS[0], (of("b", (50.0, 50.5, 49.0, 49.5, 50.2), collapsed=1),)])
    assert (best_is_among(collapsed, [0]).answer, collapsed.why_not) == ("leans for", ranking.sides.COLLAPSED)
    unequal = rank([(printed("a", 62.0, 1.0, 5, choices=7),), (printed("b", 50.0, 1.0, 5),)])
    assert best_is_among(unequal, [0]).answer == "leans for"
    assert best_is_among(unequal, [0], sign=-1).answer == "leans against"
