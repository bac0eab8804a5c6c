"""Costs in words: a row a strategy, what is unknown as a dash, and the same numbers in every format that has them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from peftcli.report import report as reporting
from peftcli.report.costs import RunCost
from peftcli.report.formats import cost_table
from tests.written_records import runs, small, unsynced, write

ROW = RunCost("LayerNorm", "", "cpu", 6, 4.0, 61.25, 1234567.4, 1.678e9, 56_789.0)
COST = {"steps": 10, "tokens": 5000, "peak_memory_bytes": 2 * 10**9, "delta_bytes": 1234, "cohort": 2}


def test_a_line_has_units_that_suit_its_numbers_and_dashes_for_what_is_unknown() -> None:
    old = replace(ROW, strategy="Full", device="", runs=0, cohort=None, seconds=None, tokens=None)
    sheet = cost_table.make([ROW, replace(old, peak_memory_bytes=None, delta_bytes=None)])
    assert sheet is not None
    assert (sheet.stub, [head for (head,) in sheet.heads]) == (
        ("Strategy",),
        ["Runs", "Time", "Tokens", "Memory", "Delta"],
    )
    assert [[text.text for text in line.cells] for line in sheet.lines] == [
        ["LayerNorm", "6", "61.2 s", "1,234,567", "1.68 GB", "56.8 kB"],
        ["Full", "0", "-", "-", "-", "-"],
    ]
    assert any("4 at a time" in note for note in sheet.notes)
    assert sheet.notes[-2:] == (
        "Memory on a processor is the whole process's, libraries and model included.",
        "A dash: no record says it.",
    )
    assert cost_table.make([]) is None


def test_tasks_and_devices_lead_where_there_are_several() -> None:
    rows = [replace(ROW, task=task, device=device) for task in ("RTE", "CoLA") for device in ("cpu", "NVIDIA H100")]
    several = cost_table.make(rows)
    assert several is not None
    assert several.stub == ("Strategy", "Task", "Device")
    assert [text.text for text in several.lines[1].cells[:3]] == ["LayerNorm", "RTE", "NVIDIA H100"]
    alone = cost_table.make([replace(ROW, cohort=1.0), replace(ROW, cohort=1.0, strategy="Full", device="")])
    assert alone is not None
    assert alone.stub == ("Strategy",)
    assert alone.notes[0].endswith("they trained alone.")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (999.5, "1 kB"), (1234, "1.23 kB"), (87_123_456, "87.1 MB"), (5e15, "5e+03 TB")],
)
def test_bytes_have_three_digits(count: float, words: str) -> None:
    assert cost_table.in_bytes(count) == words


def test_every_format_that_has_costs_has_the_same(tmp_path: Path) -> None:
    recipe = small(learning_rates=[1e-3], seeds=2)
    with unsynced():
        for at, run in enumerate(runs(recipe)):
            scores = {"validation": {"accuracy": 0.5, "matthews": 0.5}}
            write(tmp_path, run, scores, cost={**COST, "seconds": 20.0 + 2 * (at // 2)})
    # Runs 0 and 1 are of full and RTE: half of 20 seconds each. Tasks are together in the terminal alone.
    said = {form: reporting.report(recipe, tmp_path, form) for form in reporting.FORMATS}
    assert [row["seconds"] for row in json.loads(said["json"])["costs"]] == [10.0, 11.0, 12.0, 13.0]
    assert "| full | RTE | 2 | 10.0 s | 2,500 | 2 GB | 1.23 kB |" in said["markdown"].replace("rte", "RTE")
    line = next(line for line in said["terminal"].splitlines() if "1.23 kB" in line and line.startswith("layernorm"))
    assert line.split() == ["layernorm", "4", "12.5", "s", "2,500", "2", "GB", "1.23", "kB"]
    assert "What a run took" in said["html"]
    assert said["html"].count("1.23 kB") == 4
    assert "1.23" not in said["latex"]
