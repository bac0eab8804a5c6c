"""The lines below a table: runs by state, what they took, and claims with the comparisons that failed first."""

from dataclasses import replace
from pathlib import Path

from peftcli.importing.importing import import_runs
from peftcli.report import summary
from peftcli.report.claims.verdicts import Finding, Judged, Step
from peftcli.report.formats import lines
from tests import tables_of_runs
from tests.report.formats.incomplete import incomplete
from tests.written_records import small, unsynced


def test_runs_and_their_cost_are_a_line_each(tmp_path: Path) -> None:
    recipe = incomplete(tmp_path)
    report = summary.summarise(recipe, tmp_path, False)
    assert lines.runs(report) == "Runs: 12 planned; 5 completed, 1 diverged, 1 failed, 5 missing."
    # Seven records of 36 seconds and 1,000 tokens each: 252 seconds in all.
    assert lines.cost(report) == "Cost: 4.2 minutes on cpu, 7,000 tokens."
    assert lines.cost(summary.summarise(recipe, tmp_path / "none", False)) is None


def test_imported_runs_of_one_seed_say_what_their_intervals_are_of(tmp_path: Path) -> None:
    task = {"name": "elsewhere", "imported": "accuracy"}
    said = {}
    for seeds in (1, 2):
        rows = [{"seed": seed, "test_accuracy": 0.5 + seed / 10} for seed in range(seeds)]
        file = tables_of_runs.write(tmp_path / f"{seeds}.csv", rows)
        for examples in (1319, None):
            recipe = small(tasks=[{**task, "examples": examples}], strategies=["full"], learning_rates=[1e-4])
            with unsynced():
                import_runs(file, recipe, tmp_path / str(seeds), "them", None, {})
            first = lines.imported(summary.summarise(recipe, tmp_path / str(seeds), False))
            assert first is not None
            assert first.startswith(f"Imported, not trained here: {seeds} runs from them (")
            said[seeds, examples] = first.rpartition("). ")[2].partition(". ")[2] or first.rpartition("). ")[2]
    assert "all on the same 1,319 test examples: intervals are over the examples alone, unpaired" in said[1, 1319]
    assert "nothing is called supported" in said[1, 1319]
    assert said[1, None].endswith("there is no variance of seeds to test a difference by.")
    assert "One run each" not in said[2, 1319] + said[2, None]


def test_comparisons_that_failed_lead_and_those_beyond_twelve_are_counted() -> None:
    steps = [Step(f"{at}", at != 9 and (None if at == 2 else True)) for at in range(14)]
    text = lines.steps(Finding("does not hold", "-", tuple(steps), "-"))
    assert text == "✗ 9; 0; 1; 2; 3; 4; 5; 6; 7; 8; 10; 11; and 2 more"


def test_printed_numbers_are_told_where_they_lead_to_another_verdict() -> None:
    ours = Finding("holds", "better in every column", (Step("rte: a 2, b 1 (+1)", True),), "compared as printed")
    theirs = Finding("does not hold", "better in every column", (Step("rte: a 1, b 2 (-1)", False),), "-")
    judged = Judged("a beats b", "Table 1", "holds", (ours,), "", "does not hold", (theirs,))
    assert list(lines.claim(judged)) == [
        "[holds] a beats b (Table 1; printed cells: does not hold)",
        "  holds: better in every column. Test: compared as printed.",
        "    rte: a 2, b 1 (+1)",
        "  printed: does not hold: better in every column",
        "    ✗ rte: a 1, b 2 (-1)",
    ]
    # A claim of one's own stands in no paper's table.
    nowhere = replace(judged, where="")
    assert next(iter(lines.claim(nowhere))) == "[holds] a beats b (printed cells: does not hold)"
    assert next(iter(lines.claim(replace(nowhere, printed_findings=())))) == "[holds] a beats b"
    same = replace(judged, printed="holds")
    assert list(lines.claim(same))[1:] == list(lines.claim(judged))[1:3]
