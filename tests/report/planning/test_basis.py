"""What is planned with: records where three seeds ended, else what was printed."""

from pathlib import Path

import pytest

from tests.report.planning.studies import basis_of, number
from tests.written_records import fill, load, runs, small


def test_printed_numbers_stand_until_three_seeds_have_ended(tmp_path: Path) -> None:
    recipe = load("transferability/table1").model_copy(update={"tasks": load("transferability/table1").tasks[:1]})
    recipe = recipe.model_copy(update={"table": {**(recipe.table or {}), "tasks": ["cola"]}})
    assert number(basis_of(recipe), "full", "cola").std == 0.7  # Table 1: 54.7 ± 0.7
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 100)
    assert number(basis_of(recipe, tmp_path), "full", "cola").values == {0: 50.0, 1: 51.0, 2: 52.0}
    next(tmp_path.glob(f"cola/full-{runs(recipe, strategy='full')[0].id}.json")).unlink()
    made = basis_of(recipe, tmp_path)
    assert (number(made, "full", "cola").values, number(made, "full", "cola").std) == (None, 0.7)
    assert number(made, "layernorm", "cola").values == {0: 50.0, 1: 51.0, 2: 52.0}


def test_three_of_five_seeds_are_enough_and_nothing_is_in_the_way(tmp_path: Path) -> None:
    recipe = small(seeds=5, tasks=["rte"], learning_rates=[1e-3])
    fill(recipe, tmp_path, lambda run: 0.5 + run.seed / 100)
    for run in runs(recipe, strategy="full")[:2]:
        next(tmp_path.glob(f"rte/full-{run.id}.json")).unlink()
    full = number(basis_of(recipe, tmp_path), "full", "rte")
    assert (full.trouble, full.values) == (None, {0: None, 1: None, 2: 52.0, 3: 53.0, 4: 54.0})


@pytest.mark.parametrize("name", ["transferability/table1", "transferability/table3", "freezing/table2"])
def test_every_number_has_the_cell_and_the_runs_that_it_is_of(name: str) -> None:
    # Strategies in rows, in columns, and a row for every learning rate.
    made = basis_of(load(name))
    for each in made.evidence.numbers:
        if each.column == "average":
            assert {part.label for part in made.parts(each)} == {each.label}
            assert len(made.parts(each)) == len(made.cells_of(each)) == len(made.tables[0].columns)
            continue
        (cell,), (of_cell,) = made.cells_of(each), made.runs_of(each)
        assert (cell.strategy, cell.options, cell.column, cell.setting) == (
            each.strategy,
            each.options,
            each.column,
            each.setting,
        )
        assert {run.run.strategy for run in of_cell} == {each.strategy}
        assert len(of_cell) == cell.runs_planned


def test_a_claim_counts_the_tables_that_it_names() -> None:
    from peftcli.report.claims import spec

    recipe = load("transferability/table1")
    claims = spec.read(recipe)
    made = basis_of(recipe, beside=("table3.yaml",))
    tables = [{number.table for number in made.of_claim(claim).numbers} for claim in claims]
    assert tables == [{0}] * 6 + [{0, 1}]
