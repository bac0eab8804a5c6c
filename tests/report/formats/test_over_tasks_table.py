"""The section over tasks in words and as data: every number, its interval, how it came about, and in every format."""

import json
from pathlib import Path

import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.report import over_tasks, report
from peftcli.report.formats import over_tasks_table
from peftcli.report.statistics.mean_ranks import MeanRanks
from tests import written_records
from tests.report.test_over_tasks import TASKS, WHOLE, records, value


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    folder = tmp_path_factory.mktemp("results")
    recipe = written_records.small(**WHOLE)
    records(recipe, folder)
    return recipe, folder


def test_lines_are_the_numbers_of_the_summary(written: tuple[Recipe, Path]) -> None:
    table = written_records.tabulate(*written)
    sheet, whole = over_tasks_table.make(table), over_tasks.summarise(table)
    assert sheet is not None
    assert whole is not None
    assert (sheet.title, sheet.stub) == ("Over 5 tasks", ("Strategy",))
    assert sheet.heads == (("Avg. [95 %]",), ("IQM minus full [95 %]",), ("mean rank",))
    for line, each in zip(sheet.lines, whole.strategies, strict=True):
        name, average, apart, rank = (text.text for text in line.cells)
        assert each.interval is not None
        assert name == each.key[0]
        assert average == f"{each.average:.1f} [{each.interval[0]:.1f}, {each.interval[1]:.1f}]"
        assert rank == f"{each.rank:.2f}"
        if each.difference is None:
            assert (name, apart) == ("full", "")
        else:
            ends = f"[{each.difference.low:+.1f}, {each.difference.high:+.1f}]"
            assert apart == f"{each.difference.mean:+.1f} {ends}"


def test_notes_say_what_each_number_is_over(written: tuple[Recipe, Path]) -> None:
    table = written_records.tabulate(*written)
    sheet = over_tasks_table.make(table)
    assert sheet is not None
    average, apart, ranks = sheet.notes
    assert average.startswith("Avg.: over 5 columns, each seed's average first; its 95 % interval is Student's t")
    assert "seed by seed over 5 tasks (3 seeds each); its interval by 2,000 resamples" in apart
    assert ranks.startswith("Mean ranks over 5 tasks (1: best): Friedman's p = 0.0067; two differ where they are 1.48")
    assert ranks.endswith("Not shown to differ: full, layernorm; layernorm, bitfit.")


def test_what_lacks_numbers_is_said(tmp_path: Path) -> None:
    recipe = written_records.small(**{**WHOLE, "tasks": ["mnli", *TASKS], "strategies": ["full", "layernorm"]})
    records(recipe, tmp_path, lambda p: None if (p.strategy, p.task) == (1, 1) else value(p))
    sheet = over_tasks_table.make(written_records.tabulate(recipe, tmp_path))
    assert sheet is not None
    assert sheet.heads == (("Avg. [95 %]",),)
    assert "Several columns of one task count as one task (their mean), but in the average." in sheet.notes
    assert "Left out, not on every task: layernorm." in sheet.notes


def test_mean_ranks_in_words() -> None:
    names = ["a", "b", "c"]
    assert over_tasks_table.in_words(MeanRanks((3.0, 1.0, 2.0), 6, 1.0, 0.3, 0.5), names).endswith(
        "p = 0.3, so no strategy is shown to differ from another."
    )
    apart = over_tasks_table.in_words(MeanRanks((3.0, 1.0, 2.0), 6, 9.0, 0.01, 0.5), names)
    assert apart.endswith("two differ where they are 0.50 or more apart (Nemenyi, 5 %).")
    same = over_tasks_table.in_words(MeanRanks((2.0, 2.0, 2.0), 6, None, None, 0.5), names)
    assert same == "Mean ranks over 6 tasks: every strategy scores the same."


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html"])
def test_every_format_has_it(written: tuple[Recipe, Path], form: str) -> None:
    text = report.report(*written, form)
    sheet = over_tasks_table.make(written_records.tabulate(*written))
    assert sheet is not None
    assert "Over 5 tasks" in text
    escaped = {"latex": ("{[}", "{]}"), "markdown": ("\\[", "\\]")}.get(form, ("[", "]"))
    for cell in (cell for line in sheet.lines for cell in line.cells):
        assert cell.text.replace("[", "<").replace("]", escaped[1]).replace("<", escaped[0]) in text


def test_json_has_every_digit_and_the_groups(written: tuple[Recipe, Path]) -> None:
    whole = over_tasks.summarise(written_records.tabulate(*written))
    ours = json.loads(report.report(*written, "json"))["over_tasks"]
    assert whole is not None
    assert whole.ranks is not None
    assert [each["average"] for each in ours["strategies"]] == [each.average for each in whole.strategies]
    assert [each["key"] for each in ours["strategies"]] == ["full", "layernorm", "bitfit"]
    assert ours["friedman"] == {"statistic": whole.ranks.statistic, "p_value": whole.ranks.p_value}
    assert ours["not_shown_to_differ"] == [["full", "layernorm"], ["layernorm", "bitfit"]]


def test_without_it_nothing_is_said(tmp_path: Path) -> None:
    recipe = written_records.small()
    written_records.fill(recipe, tmp_path, written_records.score_of)
    assert "Over 2 tasks" not in report.report(recipe, tmp_path, "terminal")
    assert "over-tasks" not in report.report(recipe, tmp_path, "html")
    assert json.loads(report.report(recipe, tmp_path, "json"))["over_tasks"] is None
