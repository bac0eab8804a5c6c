"""Published cells: every CSV reads, finds its run, and says what is wrong with a broken one."""

import csv
from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.run import Run
from peftcli.report.table import published
from tests.written_records import TABLES, load


@pytest.mark.parametrize("name", TABLES)
def test_every_printed_cell_belongs_to_one_strategy_of_its_recipe(name: str) -> None:
    recipe = load(name)
    file = recipe.path.with_suffix(".csv")
    cells = published.read(file)
    with open(file, newline="") as stream:
        assert len(cells) == len(list(csv.DictReader(stream)))
    runs = {(p.strategy, p.task): p.run for p in plan.expand(recipes.load(recipe.path))}.values()
    for cell in cells:
        fitting = {(run.strategy, str(run.options)) for run in runs if run.strategy == cell.strategy}
        of_cell = [run for run in runs if run.strategy == cell.strategy and _fits_but_rate(cell.setting, run)]
        assert fitting
        assert len({str(run.options) for run in of_cell}) == 1, cell


def _fits_but_rate(setting: dict[str, object], run: Run) -> bool:
    return published.fits({key: value for key, value in setting.items() if key != "lr"}, run)


def test_numbers_and_settings_are_read() -> None:
    cells = published.read(recipes.find("transferability/table1").with_suffix(".csv"))
    copied = [cell for cell in cells if cell.copied_from]
    assert [(c.strategy, c.task) for c in copied] == [
        ("bitfit", t) for t in ("mnli_matched", "mnli_mismatched", "qnli")
    ]
    first = cells[0]
    assert (first.mean, first.std, first.n, first.ddof, first.decimals) == (54.7, 0.7, 3, None, 1)
    assert published.parse_setting("lr=1e-4;train_size=all") == {"lr": 1e-4, "train_size": "all"}
    assert published.parse_setting("8-12-II") == {"groups": [8, 12], "variant": "II"}
    assert published.parse_setting("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("strategy,taks\nfull,cola\n", "unknown column 'taks': did you mean 'task'"),
        ("strategy,task,mean\nfull,cola,high\n", "line 2: mean 'high' is not a number"),
        ("strategy,task,mean\n", "holds no cell"),
        ("", "holds no cell"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=words):
        published.read(file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read published table"):
        published.read(tmp_path / "none.csv")
