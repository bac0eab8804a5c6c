"""Markdown: equal columns in every line, and no sign that means anything."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.report import report as reporting
from peftcli.report.formats import markdown
from tests.written_records import load


@pytest.mark.parametrize("name", ["transferability/table4", "freezing/table1", "effectiveness/table1"])
def test_markdown_tables_have_equal_columns(printed_records: Callable[[str], Path], name: str) -> None:
    text = reporting.report(load(name), printed_records(name), "markdown", True)
    # The table, the differences where it has a reference, what it says over seven tasks, and what a run cost.
    wanted = {"transferability/table4": 2, "freezing/table1": 3, "effectiveness/table1": 4}
    assert len(equal_tables(text)) == wanted[name]


def equal_tables(text: str) -> list[str]:
    """The tables in a text, each with as many columns in every line."""
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        counts = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1
        assert set(table.splitlines()[1]) <= set("|:- ")
    return tables


def test_hostile_words_stay_words(tmp_path: Path, hostile: Recipe) -> None:
    text = reporting.report(hostile, tmp_path, "markdown")
    assert "<script" not in text.replace("\\<", "")
    assert len(equal_tables(text)) == 2


def test_signs_mean_nothing() -> None:
    assert markdown.escape("a|b*c_d<e") == r"a\|b\*c\_d\<e"
