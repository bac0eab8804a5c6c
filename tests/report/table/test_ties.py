"""Tie groups: Games–Howell's test against the best of a column, one row a strategy, nobody who cannot be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli.report.statistics.contrast import Sample
from peftcli.report.table import ties
from peftcli.report.table.table import Table, Tie
from tests.welch import of_printed
from tests.written_records import fill, load, runs, small, tabulate, unsynced, write

FOUR = ["full", "layernorm", "bitfit", "frozen"]


def column(folder: Path, values: Mapping[str, Sequence[float]], **changes: Any) -> Table:
    """A table of one column whose strategies have these values, percent, by seed."""
    made = {"tasks": ["rte"], "strategies": list(values), "learning_rates": [1e-3], **changes}
    recipe = small(**{"seeds": max(map(len, values.values())), **made})
    with unsynced():
        for run in runs(recipe):
            if run.seed < len(values[run.strategy]):
                write(folder, run, {"validation": {"accuracy": values[run.strategy][run.seed] / 100}})
    return tabulate(recipe, folder)


def tied(table: Table) -> dict[str, bool | None]:
    return {cell.strategy: None if cell.tie is None else cell.tie.tied for cell in table.cells()}


Summary = tuple[float, float, int]  # mean, sample deviation, n


def summary(values: Sequence[float]) -> Summary:
    return float(np.mean(values)), float(np.std(values, ddof=1)), len(values)


def games_howell(one: Summary, other: Summary, rows: int) -> float:
    """The two-sided p-value of two samples among so many."""
    above = of_printed(*one, *other).among(rows)
    return 2 * min(above, 1 - above)


def drawn(seed: int, n: int = 5) -> dict[str, list[float]]:
    random = np.random.default_rng(seed)
    means = zip(FOUR, (70.0, 69.5, 67.0, 55.0), (1.0, 2.0, 0.5, 1.0), strict=True)
    return {name: random.normal(mean, deviation, n).tolist() for name, mean, deviation in means}


@pytest.mark.parametrize("seed", range(3))
def test_p_values_against_the_best_are_games_and_howell_s(tmp_path: Path, seed: int) -> None:
    values = drawn(seed)
    table = column(tmp_path, values)
    best = max(range(4), key=lambda at: np.mean(values[FOUR[at]]))
    summaries = [summary(of) for of in values.values()]
    theirs = [games_howell(summaries[best], each, 4) for each in summaries]
    for at, cell in enumerate(table.cells()):
        assert cell.tie is not None
        if at == best:
            assert (cell.tie.tied, cell.tie.p_value) == (True, None)
        else:
            assert cell.tie.p_value == pytest.approx(theirs[at], abs=1e-4)
            assert cell.tie.tied == (theirs[at] > 0.05)
    assert {*tied(table).values()} == {True, False}


def test_rows_of_fewer_than_three_seeds_take_no_part_and_carry_no_mark(tmp_path: Path) -> None:
    values = drawn(0)
    without = column(tmp_path / "a", {name: values[name] for name in FOUR[1:]})
    few = column(tmp_path / "b", {**values, "full": [99.0, 98.0]})
    assert tied(few) == {"full": None, **tied(without)}
    assert "Not compared for §: fewer than 3 seeds (full on rte)." in few.notes
    two = column(tmp_path / "c", {name: of[:2] for name, of in values.items()})
    assert {*tied(two).values()} == {None}
    assert "Not compared for §: fewer than 3 seeds (everywhere)." in two.notes


def test_one_row_that_is_left_has_nobody_to_tie_with(tmp_path: Path) -> None:
    table = column(tmp_path, {"full": [60.0, 61.0, 62.0], "layernorm": [50.0, 51.0]})
    assert tied(table) == {"full": None, "layernorm": None}
    assert "Not compared for §: no other row takes part (full on rte)." in table.notes
    alone = column(tmp_path, {"full": [60.0, 61.0, 62.0]})
    assert tied(alone) == {"full": None}
    assert not any("§" in note for note in alone.notes)


def test_without_variance_on_either_side_nothing_is_told(tmp_path: Path) -> None:
    still = {"full": [60.0] * 3, "layernorm": [50.0] * 3}
    table = column(tmp_path / "a", still)
    assert tied(table) == {"full": None, "layernorm": None}
    assert "Not compared for §: no variance (everywhere)." in table.notes
    assert "No variance, every seed scored the same: full on rte; layernorm on rte." in table.notes
    moving = column(tmp_path / "b", {**still, "bitfit": [59.9, 60.0, 59.8]})
    # Against the best, which does not vary: of the others only what varies has a test.
    assert tied(moving) == {"full": True, "layernorm": None, "bitfit": True}


@pytest.mark.parametrize(("n", "takes_part"), [(9, False), (10, True)])
def test_a_collapsed_run_among_few_seeds_takes_no_part(tmp_path: Path, n: int, takes_part: bool) -> None:
    values = drawn(0, n)
    column(tmp_path, values)
    recipe = small(tasks=["rte"], strategies=FOUR, learning_rates=[1e-3], seeds=n)
    with unsynced():
        write(tmp_path, runs(recipe, strategy="bitfit")[0], {"validation": {"accuracy": 0.5, "collapsed": True}})
    table = tabulate(recipe, tmp_path)
    (bitfit,) = (cell for cell in table.cells() if cell.strategy == "bitfit")
    assert (bitfit.tie is not None) == takes_part
    assert bitfit.mean == pytest.approx(np.mean([50.0, *values["bitfit"][1:]])), "it stays in the mean"
    said = "Not compared for §: a collapsed run among fewer than 10 seeds (bitfit on rte)." in table.notes
    assert said != takes_part


def test_unranked_strategies_take_no_part_and_within_ties_apart(tmp_path: Path) -> None:
    values = drawn(0)
    apart = column(tmp_path / "a", values, table={"unranked": ["full"]})
    assert tied(apart)["full"] is None
    assert {name: tied(apart)[name] for name in FOUR[1:]} == tied(
        column(tmp_path / "b", {k: values[k] for k in FOUR[1:]})
    )
    fours = [{name: {"n": n}} for n in (4, 16) for name in ("layernorm_outlier", "layernorm_random")]
    recipe = small(tasks=["rte"], learning_rates=[1e-3], strategies=fours, table={"within": "n"})
    fill(recipe, tmp_path / "c", lambda run: run.options["n"] / 40 + run.seed / 100)
    p_values = [cell.tie and cell.tie.p_value for cell in tabulate(recipe, tmp_path / "c").cells()]
    assert p_values == [None, pytest.approx(1.0)] * 2, "equal values at either n, which are far apart"


RATES = {"rows": ["strategy", "learning_rate"], "select": "every learning rate"}


def rated(folder: Path, held_out: bool) -> Table:
    """Two strategies at two rates: 1e-3 is better where it is tested, 1e-4 on the held-out examples."""
    recipe = small(tasks=["rte"], table=RATES, **({"training": {"validation_share": 0.1}} if held_out else {}))
    with unsynced():
        for run in runs(recipe):
            low = run.learning_rate == 1e-4
            value = 0.7 - 0.02 * low - 0.03 * (run.strategy == "layernorm") + run.seed / 100
            split = {"validation": {"accuracy": 0.5 + low / 4}} if held_out else {}
            write(folder, run, {**split, "test" if held_out else "validation": {"accuracy": value}})
    return tabulate(recipe, folder)


def test_of_several_rates_the_one_that_held_out_examples_choose_takes_part(tmp_path: Path) -> None:
    table = rated(tmp_path, held_out=True)
    ours = [[cell.mean for cell in table.cells() if cell.learning_rate == 1e-4]]
    assert [cell.tie is not None for cell in table.cells()] == [True, False, True, False]
    samples = [[100 * (mean + run / 100) for run in range(3)] for mean in (0.68, 0.65)]
    assert ours == [[pytest.approx(np.mean(each)) for each in samples]]
    p_value = games_howell(summary(samples[0]), summary(samples[1]), 2)
    assert [cell.tie.p_value for cell in table.cells() if cell.tie] == [None, pytest.approx(p_value, abs=1e-4)]
    assert "§ compares one row a strategy: its learning rate that held-out examples choose." in table.notes


def test_without_them_the_best_mean_does_corrected_for_every_row(tmp_path: Path) -> None:
    table = rated(tmp_path, held_out=False)
    assert [cell.tie is not None for cell in table.cells()] == [False, True, False, True]
    samples = [[100 * (mean + run / 100) for run in range(3)] for mean in (0.68, 0.70, 0.65, 0.67)]
    p_value = games_howell(summary(samples[1]), summary(samples[3]), 4)
    assert [cell.tie.p_value for cell in table.cells() if cell.tie] == [None, pytest.approx(p_value, abs=1e-4)]
    assert "§ compares one row a strategy: its learning rate with the best mean, corrected for all rows." in table.notes


def test_rates_chosen_within_cells_on_the_same_numbers_are_said(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"])
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 10 + run.learning_rate)
    notes = tabulate(recipe, tmp_path).notes
    assert "§ compares learning rates that were chosen on the same numbers, uncorrected for that choice." in notes


def test_maxima_have_no_ties(tmp_path: Path) -> None:
    table = column(tmp_path, drawn(0), table={"cell": "maximum", "select": "every run"})
    assert {*tied(table).values()} == {None}
    assert not any("§" in note for note in table.notes)


def printed(folder: Path, *lines: str, **table: Any) -> dict[str, bool | None]:
    """The ties of a column that a paper printed, without any run of ours."""
    folder.mkdir(exist_ok=True)
    (folder / "p.csv").write_text("\n".join(["strategy,task,metric,mean,std,max,n,ddof,copied_from", *lines]))
    names = [line.split(",")[0] for line in lines]
    recipe = small(tasks=["rte"], strategies=names, learning_rates=[1e-3], table={"published": "p.csv", **table})
    table = tabulate(recipe.model_copy(update={"path": folder / "small.yaml"}), folder)
    tied = ties.printed(table)
    of_rows = [tied.get((row, 0)) for row in range(len(names))]
    return {name: None if tie is None else tie.tied for name, tie in zip(names, of_rows, strict=True)}


def test_printed_columns_tie_where_mean_deviation_and_n_are_printed(tmp_path: Path) -> None:
    lines = [
        "full,rte,accuracy,70.0,0.5,,5,1,",
        "layernorm,rte,accuracy,69.6,0.5,,5,1,",
        "bitfit,rte,accuracy,60.0,0.5,,5,1,",
    ]
    assert printed(tmp_path, *lines) == {"full": True, "layernorm": True, "bitfit": False}
    assert printed(tmp_path, *lines, unranked=["full"]) == {"full": None, "layernorm": True, "bitfit": False}
    for odd in ("99.0,0.5,,5,1,another", "99.0,,,5,1,", "99.0,0.5,,,1,", "99.0,0.5,,2,1,", ",,99.0,5,1,"):
        ties_of = printed(tmp_path, *lines, f"frozen,rte,accuracy,{odd}")
        assert ties_of == {"full": True, "layernorm": True, "bitfit": False, "frozen": None}, odd


def test_a_printed_column_counts_at_the_least_extreme_of_its_digits(tmp_path: Path) -> None:
    lines = ["full,rte,accuracy,{},{},,3,1,", "layernorm,rte,accuracy,{},{},,3,1,"]
    two = [lines[0].format("70.00", "0.04"), lines[1].format("69.80", "0.05")]
    one = [lines[0].format("70.0", "0.0"), lines[1].format("69.8", "0.1")]
    assert printed(tmp_path, *two) == {"full": True, "layernorm": False}
    assert printed(tmp_path, *one) == {"full": True, "layernorm": True}
    apart = _compared(70.0, 0.05, 69.8, 0.15)
    assert apart.p_value == pytest.approx(games_howell((69.95, 0.05, 3), (69.85, 0.15, 3), 2), abs=1e-4)
    assert _compared(70.0, 0.001, 69.95, 0.001).p_value == pytest.approx(1.0), "both may be 69.97"


def _compared(best: float, deviation: float, other: float, other_deviation: float) -> Tie:
    """The tie of the second of two means of three seeds that are printed with one digit."""
    samples = [Sample(best, deviation, 3), Sample(other, other_deviation, 3)]
    tie = ties.compare([ties.Rounded(sample, 0.05) for sample in samples], (0, 1))[1]
    assert tie is not None
    return tie


def test_of_a_printed_table_every_column_s_best_is_in_its_group() -> None:
    table = tabulate(load("effectiveness/table1"), Path("nothing"))
    tied = ties.printed(table)
    for column in range(len(table.columns)):
        cells = [row.cells[column] for row in table.rows]
        means = [cell.published.mean or 0.0 if cell and cell.published else 0.0 for cell in cells]
        assert tied[means.index(max(means)), column] == Tie(True, None)
    assert sum(tie is not None and not tie.tied for tie in tied.values()) > 5


def test_equal_rows_are_seldom_told_apart_and_far_ones_often() -> None:
    random = np.random.default_rng(0)
    tables, apart, separated = 400, 0, 0
    for _ in range(tables):
        values = random.normal(60, 1, (10, 5))
        samples = [Sample(row.mean(), row.std(ddof=1), 5) for row in values]
        apart += False in ties.group(samples)
        samples[9] = replace(samples[9], mean=samples[9].mean - 4)
        separated += ties.group(samples)[9] is False
    assert apart / tables <= 0.06
    assert separated / tables > 0.7
