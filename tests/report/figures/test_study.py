"""What a figure is drawn from: runs grouped by learning rate, and names that the recipe does not have refused."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from tests.drawn import entry, odd, study_of
from tests.written_records import runs, small, tabulate, unsynced, write


@pytest.mark.parametrize("options", [{"tasks": ["mrpc"]}, {"strategies": ["lora"]}, {"learning_rate": 0.5}])
def test_what_the_recipe_does_not_have_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    study = study_of(tmp_path, lambda planned: "missing")
    with pytest.raises(UserError, match=r"unknown .* of this figure"):
        figures.draw(entry("bars", **options), study)


def test_runs_are_grouped_by_rate_and_the_best_was_chosen_among_all(tmp_path: Path) -> None:
    study = study_of(tmp_path, odd)
    every = study.groups(["rte"], ["layernorm", "full"], "all")
    assert [(group.label, group.learning_rate, len(group.outcomes)) for group in every] == [
        ("LayerNorm", 1e-4, 4), ("LayerNorm", 1e-3, 4), ("Full", 1e-5, 4),
    ]  # fmt: skip
    assert all(group.candidates == group.outcomes for group in every)
    # The higher rate ends higher.
    cola = study.groups(["cola"], ["LayerNorm"], "best")
    assert [(group.learning_rate, len(group.outcomes), len(group.candidates)) for group in cola] == [(1e-3, 4, 8)]
    # Nothing of BitFit on CoLA was run: the lowest rate shows the gap.
    (gap,) = study.groups(["cola"], ["bitfit"], "best")
    assert (gap.learning_rate, {outcome.state for outcome in gap.outcomes}) == (1e-4, {"missing"})
    # A strategy with one rate alone keeps it, whatever rate is asked for.
    fixed = study.groups(["rte"], None, 1e-4)
    assert [(group.label, group.learning_rate) for group in fixed] == [
        ("Full", 1e-5), ("LayerNorm", 1e-4), ("BitFit", 1e-4),
    ]  # fmt: skip


def test_the_best_rate_is_the_one_that_the_table_shows(tmp_path: Path) -> None:
    held_out = {"validation_share": 0.1, "restore_best": True}
    recipe = small(tasks=["rte"], strategies=["layernorm"], training=held_out)
    with unsynced():
        for run in runs(recipe):
            test, held = (0.7, 0.4) if run.learning_rate == 1e-3 else (0.5, 0.5)
            write(tmp_path, run, {"validation": {"accuracy": held}, "test": {"accuracy": test}})
    for select, rate in (("best learning rate by mean", 1e-3), ("best learning rate by validation", 1e-4)):
        one = recipe.model_copy(update={"table": {"select": select}})
        (cell,) = tabulate(one, tmp_path).cells()
        (group,) = figures.study(one, tmp_path).groups(None, None, "best")
        assert (cell.learning_rate, group.learning_rate) == (rate, rate)


def test_printed_takes_the_rate_of_the_best_printed_cell_and_the_lowest_of_equal_ones(tmp_path: Path) -> None:
    study = figures.study(recipes.load(recipes.find("freezing/table1")), tmp_path)
    chosen = {
        (g.column.column, g.outcomes[0].run.strategy): g.learning_rate for g in study.groups(None, None, "printed")
    }
    # Table I: BitFit 52.6, 53.9 and 53.6 on CoLA; 89.8, 89.3 and 89.6 on SST-2; 88.4, 88.8 and 88.8 on QNLI.
    assert [chosen[task, "bitfit"] for task in ("cola", "sst2", "qnli")] == [5e-4, 1e-4, 5e-4]
    # Random 49.1, 53.1 and 53.1 on CoLA; full fine-tuning has one rate.
    assert (chosen["cola", "random"], chosen["cola", "full"]) == (1e-3, 3e-5)
    # Where nothing was printed, the best by mean: the higher rate ends higher.
    (cola,) = study_of(tmp_path).groups(["cola"], ["layernorm"], "printed")
    assert (cola.learning_rate, len(cola.candidates)) == (1e-3, 8)
