"""The page over several reports: what each is of, how far it is, what its claims come to, when and at what cost."""

from pathlib import Path
from typing import Any

from peftcli.report import summary
from peftcli.report.formats.html import index
from peftcli.report.formats.html.index import Entry
from peftcli.report.summary import Report
from tests.outline import Outline
from tests.report.claims.cases import BETTER
from tests.written_records import body, runs, small, unsynced, write

HOSTILE = "<script>alert(1)</script>\"'<img src=x onerror=alert(1)>"
WORSE = BETTER | {"strategies": "full", "than": "layernorm"}
ENDED = 1_700_000_000  # 2023-11-14


def report(folder: Path, seeds: int = 5, **changes: Any) -> Report:
    """A report in which full is 10 points above layernorm; one run of rte diverged."""
    recipe = small(learning_rates=[1e-3], seeds=5, **changes)
    cost = {**body({})["cost"], "seconds": 1800.0, "ended": ENDED}
    with unsynced():
        for run in runs(recipe):
            if run.seed < seeds:
                value = 0.5 + (run.strategy == "full") / 10 + run.seed**2 / (1e3 if run.strategy == "full" else 2e3)
                lost = (run.task, run.strategy, run.seed) == ("rte", "full", 1)
                scores = {"validation": {"accuracy": value, "matthews": value}}
                write(folder, run, scores, "diverged" if lost else "completed", cost=cost)
    return summary.summarise(recipe, folder, True)


def page(*entries: Entry) -> Outline:
    return Outline(index.render(entries, 1234))


def test_a_row_says_what_a_reader_looks_for(tmp_path: Path) -> None:
    claims = [{"claim": "-", "checks": [check]} for check in (BETTER, WORSE)]
    words = page(Entry("paper/table1", "paper-table1.html", "a", report(tmp_path / "a", claims=claims))).words
    assert "1 report made from 1,234 records of runs in a." in words
    assert "Small paper/table1 minilm 3 of 4 runs: 19 completed, 1 diverged" in words
    assert "✗ contradicted: 1 ↗ leans for: 1 as printed: holds: 1, does not hold: 1" in words
    assert "2023-11-14 10.0 hours cpu" in words  # twenty runs of half an hour
    assert "A dash" not in words


def test_what_no_record_says_is_a_dash_and_said(tmp_path: Path) -> None:
    empty = report(tmp_path / "b", seeds=0)
    outline = page(Entry("one", "1.html", "a", report(tmp_path / "a")), Entry("two", "2.html", "b", empty))
    assert "Recipe Folder Model Cells complete Claims Date Cost" in outline.words
    assert "Small two b minilm 0 of 4 runs: 20 missing none - - A cell" in outline.words
    assert "A dash: no record says it." in outline.words
    assert "Claims: tested" not in outline.words
    assert [attributes.get("scope") for attributes in outline.all("th")] == ["col"] * 7 + ["row"] * 2
    assert [cell["data-head"] for cell in outline.all("td")] == ["Folder", *index.FACTS] * 2


def test_nothing_of_a_recipe_or_a_folder_becomes_markup(tmp_path: Path) -> None:
    outline = page(Entry(HOSTILE, "a.html", HOSTILE, report(tmp_path, title=HOSTILE)))
    assert not outline.all("script")
    assert not outline.all("img")
    assert outline.words.count("<script>alert(1)</script>") == 3
