"""The terminal: lines of at most 100 columns, colours only where wanted, and a report where no run is."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.report import report as reporting
from tests.written_records import TABLES, load


@pytest.mark.parametrize("against", [pytest.param(False, marks=pytest.mark.whole), True])
@pytest.mark.parametrize("name", ["transferability/table4", "freezing/table1", "effectiveness/table1", "spafit/table2"])
def test_terminal_lines_fit_100_columns_and_show_all(
    printed_records: Callable[[str], Path], name: str, against: bool
) -> None:
    text = reporting.report(load(name), printed_records(name), "terminal", against)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    body = json.loads(reporting.report(load(name), printed_records(name), "json"))
    decimals = body["view"]["decimals"]
    for cell in body["cells"]:
        shown = cell["mean"] if cell["mean"] is not None else cell["maximum"]
        assert f"{shown:.{decimals}f}" in text


def test_colours_are_for_terminals_and_no_color_takes_them_back(
    printed_records: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "spafit/table2"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = reporting.report(load(name), printed_records(name), "terminal", styled=True)
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    bold_only = reporting.report(load(name), printed_records(name), "terminal", styled=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", bold_only)
    plain = reporting.report(load(name), printed_records(name), "terminal")
    assert re.sub(r"\x1b\[[0-9;]*m", "", bold_only).split() == plain.split()


def test_hostile_words_stay_words(tmp_path: Path, hostile: Recipe) -> None:
    assert "\x1b" not in reporting.report(hostile, tmp_path, "terminal")


@pytest.mark.parametrize("name", TABLES)
def test_a_report_on_nothing_is_a_report(tmp_path: Path, name: str) -> None:
    text = reporting.report(load(name), tmp_path, "terminal", True)
    assert "missing" in text
    assert "0 completed" not in text
    assert "not enough runs" in text
