"""Reports: formats are checked, nothing heavy is imported, pages have figures, large folders are fast."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.run import Run
from peftcli.importing.importing import import_runs
from peftcli.report import report as reporting
from peftcli.report import summary
from peftcli.tasks import registry as tasks
from tests import tables_of_runs
from tests.report.table.kept import keep
from tests.written_records import SMALL, fill, from_published, score_of, small, unsynced


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown format 'markdwon': did you mean 'markdown'"):
        reporting.report(small(), tmp_path, "markdwon")


def test_notes_are_the_tables(tmp_path: Path) -> None:
    recipe = small()
    fill(recipe, tmp_path, score_of)
    notes = reporting.notes(recipe, tmp_path)
    assert notes == summary.summarise(recipe, tmp_path, False).table.notes
    assert any("ddof 1" in note for note in notes)
    assert any(note.startswith("That choice flatters: the chosen rate's mean is") for note in notes)


def test_a_report_of_imported_runs_says_so_first_and_names_cells_that_mix(tmp_path: Path) -> None:
    recipe = small(strategies=["full"], learning_rates=[1e-4])
    assert not reporting.report(recipe, tmp_path, "terminal").startswith("Imported")
    file = tables_of_runs.write(tmp_path / "theirs.csv", [tables_of_runs.row(seed) for seed in (40, 41)])
    with unsynced():
        import_runs(file, recipe, tmp_path, "them", None, {})
    said = reporting.report(recipe, tmp_path, "markdown")
    assert said.startswith("**Imported, not trained here: 2 runs from them (theirs.csv, SHA-256 ")
    assert "Beside them" not in said
    assert "- Fewer runs imported than the recipe plans: rte full lr=0.0001 (2 of 3)." in said
    assert "- Runs: 3 planned and 2 imported; 2 completed, 3 missing." in said
    # A sweep has trained in the same folder since.
    fill(recipe, tmp_path, score_of)
    said = reporting.report(recipe, tmp_path, "markdown")
    assert "Beside them 6 runs that were trained here." in said.splitlines()[0]
    assert "- Runs of several sources within full on rte." in said
    table = summary.summarise(recipe, tmp_path, False).table
    assert [(cell.column, cell.n, cell.mixed) for cell in table.cells()] == [("rte", 5, ("source",)), ("cola", 3, ())]


def test_a_page_has_the_recipes_figures_and_a_mistake_in_one_is_told(tmp_path: Path) -> None:
    figure = {"name": "bars-of-all", "kind": "bars"}
    assert 'id="figure-bars-of-all"' in reporting.report(small(figures=[figure]), tmp_path, "html")
    with pytest.raises(UserError, match="nothing"):
        reporting.report(small(figures=[figure | {"strategies": ["nothing"]}]), tmp_path, "html")


def test_the_same_records_give_the_same_bytes_wherever_recipe_and_results_lie(tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.yaml" for folder in ("here", "elsewhere")]
    for file in files:
        file.parent.mkdir()
        file.write_text(
            json.dumps({**SMALL, "strategies": ["full"], "figures": [{"name": "bars-of-all", "kind": "bars"}]})
        )
        fill(recipes.load(file), file.parent / "results", score_of)
    for form in reporting.FORMATS:
        here, elsewhere = (reporting.report(recipes.load(file), file.parent / "results", form) for file in files)
        assert here == elsewhere
        assert str(tmp_path) not in here


LIGHT = """
import sys
from pathlib import Path
from peftcli.experiment import recipe as recipes
from peftcli.experiment.run import Run
from peftcli.report import report as reporting
folder = Path(sys.argv[1])
assert "missing" in reporting.report(recipes.load(recipes.find("transferability/table1")), folder, "terminal")
recorded = {form: reporting.report(recipes.load(folder / "ranked.yaml"), folder, form) for form in reporting.TEXTS}
assert "Friedman" in recorded["markdown"], recorded["markdown"]
assert '"low": 5' in recorded["json"]
# The printed cells are tested, which takes scipy's special functions; its statistics start far slower.
heavy = {"torch", "transformers", "pandas", "scipy.stats", "matplotlib"} & set(sys.modules)
assert "scipy.special" in sys.modules
assert not heavy, heavy
"""


def test_a_report_imports_nothing_heavy(tmp_path: Path) -> None:
    # Enough tasks and strategies for mean ranks, and seeds for intervals: both are tested without scipy's statistics.
    strategies = ["full", "layernorm", "bitfit"]
    ranked = {"tasks": ["rte", "cola", "sst2", "mrpc", "qnli"], "strategies": strategies, "learning_rates": [1e-3]}
    (tmp_path / "ranked.yaml").write_text(json.dumps({**SMALL, **ranked, "table": {"average": {}}}))
    fill(recipes.load(tmp_path / "ranked.yaml"), tmp_path, lambda run: 0.5 + score_of(run) / 20)
    subprocess.run([sys.executable, "-c", LIGHT, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])


LARGE = """
import resource, sys, time
started = time.perf_counter()
from pathlib import Path
from peftcli.experiment import recipe as recipes
from peftcli.experiment.run import Run
from peftcli.report import report as reporting
recipe = recipes.load(recipes.find("transferability/table1"), {"seeds": 10})
text = reporting.report(recipe, Path(sys.argv[1]), sys.argv[2], True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(time.perf_counter() - started, peak)
"""


def large(output: Path, form: str) -> tuple[float, float]:
    """The seconds that a report of 5,040 records takes, and the bytes it holds."""
    command = [sys.executable, "-c", LARGE, str(output), form]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


@pytest.mark.bench
@pytest.mark.parametrize("form", ["terminal", "json"])
def test_five_thousand_records_take_five_seconds_and_500_mb(tmp_path: Path, form: str) -> None:
    recipe = recipes.load(recipes.find("transferability/table1"), {"seeds": 10})
    from_published(recipe, tmp_path)
    assert len(plan.expand(recipe)) == 5040
    seconds, peak = large(tmp_path, form)
    assert seconds < 5
    assert peak < 500e6


@pytest.mark.bench
def test_with_predictions_of_a_thousand_examples_they_take_thirty(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("transferability/table1"), {"seeds": 10})
    source = np.random.default_rng(0)
    for task in dict.fromkeys(each.run.task for each in plan.expand(recipe)):
        classes = len(tasks.TASKS[task].labels)
        labels = source.integers(0, classes, 1043) if classes else source.integers(0, 26, 1043) / 5

        def answers(run: Run, own: np.random.Generator, labels: Any = labels, classes: int = classes) -> Any:
            if not classes:
                return labels + own.normal(0, 1 + len(run.strategy) / 9, 1043)
            return np.where(own.random(1043) < 0.7 + len(run.strategy) / 99, labels, (labels + 1) % classes)

        keep(recipe, tmp_path, labels, answers, task=task)
    seconds, peak = large(tmp_path, "terminal")
    assert seconds < 30
    assert peak < 500e6
