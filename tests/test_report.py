"""Reports: formats are checked, nothing heavy is imported, pages have figures, large folders are fast."""

import subprocess
import sys
from pathlib import Path

import pytest

from peftcli import plan, recipe, report, summary
from peftcli.errors import UserError
from tests.made import fill, from_published, runs, small, unsynced, write
from tests.test_cells import value


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown format 'markdwon': did you mean 'markdown'"):
        report.report(small(), tmp_path, "markdwon")


def test_notes_are_the_tables(tmp_path: Path) -> None:
    made = small()
    fill(made, tmp_path, value)
    notes = report.notes(made, tmp_path)
    assert notes == summary.summarise(made, tmp_path, False).table.notes
    assert any("ddof 1" in note for note in notes)
    assert any(note.startswith("That choice flatters: the chosen rate's mean is") for note in notes)


def test_the_flattery_is_the_best_minus_the_mean_of_the_others(tmp_path: Path) -> None:
    made = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-5, 1e-4, 1e-3], seeds=1)
    fill(made, tmp_path, lambda run: {1e-5: 0.5, 1e-4: 0.6, 1e-3: 0.8}[run.learning_rate])
    assert any("is 25.0 above the mean of the others'" in note for note in report.notes(made, tmp_path))


def test_collapsed_runs_are_told_with_and_without(tmp_path: Path) -> None:
    made = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-3])
    with unsynced():
        for run, score in zip(runs(made), (0.5, 0.7, 0.8), strict=True):
            write(tmp_path, run, {"validation": {"accuracy": score, "collapsed": score == 0.5}})
    words = "rte full lr=0.001 seed=0; full on rte is 66.7±15.3 with and 75.0±7.1 without."
    assert any(note == f"Collapsed, one answer for every example: {words}" for note in report.notes(made, tmp_path))
    assert "66.7±15.3" in report.report(made, tmp_path, "terminal")
    assert "c1" in report.report(made, tmp_path, "markdown")


def test_costs_of_a_cohort_are_shared(tmp_path: Path) -> None:
    made = small()
    cost = {"seconds": 7200.0, "steps": 10, "tokens": 24000, "peak_memory_bytes": 5, "cohort": 24}
    with unsynced():
        for run in runs(made):
            write(tmp_path, run, {"validation": {"accuracy": 0.5}}, cost=cost)
    found = summary.summarise(made, tmp_path, False)
    assert found.cost.hours == pytest.approx(2.0)
    assert (found.cost.tokens, found.cost.peak_memory_bytes, found.cost.devices) == (24000, 5, ("cpu",))
    assert len(found.environments) == 1


def test_a_page_has_the_recipes_figures_and_a_mistake_in_one_is_told(tmp_path: Path) -> None:
    figure = {"name": "bars-of-all", "kind": "bars"}
    assert 'id="figure-bars-of-all"' in report.report(small(figures=[figure]), tmp_path, "html")
    with pytest.raises(UserError, match="nothing"):
        report.report(small(figures=[figure | {"strategies": ["nothing"]}]), tmp_path, "html")


LIGHT = """
import sys
from pathlib import Path
from peftcli import recipe, report
text = report.report(recipe.load(recipe.find("transferability/table1")), Path(sys.argv[1]), "terminal", True)
assert "missing" in text
heavy = {"torch", "transformers", "pandas", "scipy", "numpy", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


def test_a_report_imports_nothing_heavy(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LIGHT, str(tmp_path)], check=True, cwd=Path(__file__).parent.parent)


LARGE = """
import resource, sys, time
started = time.perf_counter()
from pathlib import Path
from peftcli import recipe, report
made = recipe.load(recipe.find("transferability/table1"), {"seeds": 10})
text = report.report(made, Path(sys.argv[1]), sys.argv[2], True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(time.perf_counter() - started, peak)
"""


@pytest.mark.bench
@pytest.mark.parametrize("form", ["terminal", "json"])
def test_five_thousand_records_take_five_seconds_and_500_mb(tmp_path: Path, form: str) -> None:
    made = recipe.load(recipe.find("transferability/table1"), {"seeds": 10})
    from_published(made, tmp_path)
    assert len(plan.expand(made)) == 5040
    command = [sys.executable, "-c", LARGE, str(tmp_path), form]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    seconds, peak = map(float, done.stdout.split())
    assert seconds < 5
    assert peak < 500e6
