"""Mean and deviation by share: against numpy, and the paper's four panels beside ours."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.experiment.run import Run
from peftcli.report import figures
from peftcli.report.figures import lines, sparsity
from peftcli.report.figures.study import Study
from peftcli.report.table import published
from tests import synthetic, written_records
from tests.drawn import SHARES, entry, study_of

TASKS = ["CoLA", "STS-B", "MRPC", "RTE", "CB", "COPA", "WSC"]
ALL_SHARES = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


def test_sparsity_has_means_and_deviations_over_rising_shares(tmp_path: Path) -> None:
    study = study_of(tmp_path, strategies=SHARES, tasks=["cola"], table={"ddof": 0})
    spec = entry("sparsity")
    found = sparsity.collect(spec, study)
    (means, deviations), across = sparsity.panels(spec, found)
    assert across.ticks == ((0.001, "0.1"), (0.01, "1"), (0.1, "10"))
    assert means.axis == "Matthews (× 100)"
    for place, deviation, share in zip(means.lines[0].marks, deviations.lines[0].marks, (1, 2, 0), strict=True):
        own = [100 * synthetic.level(o.planned) for o in study.outcomes if o.planned.strategy == share]
        best = max(np.split(np.array(own), 2), key=np.mean)
        assert place.y == pytest.approx(best.mean())
        assert deviation.y == pytest.approx(best.std(ddof=0))


def score(run: Run, split: str) -> float:
    """A score of its own for every run and split, a fraction."""
    return float(np.random.default_rng([run.seed, int(1e4 * run.options["share"]), len(run.task), len(split)]).random())


@pytest.fixture(scope="module")
def figure5(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Figure 5's recipe with two seeds, on two of its tasks all runs done."""
    output = tmp_path_factory.mktemp("results")
    recipe = recipes.load(recipes.find("effectiveness/figure5"), {"seeds": 2})
    with written_records.unsynced():
        for run in (planned.run for planned in plan.expand(recipe)):
            metric = {"cola": "matthews", "cb": "accuracy"}.get(run.task)
            if metric:
                scores = {split: {metric: score(run, split)} for split in ("validation", "test", "train")}
                written_records.write(output, run, scores)
    return figures.study(recipe, output)


def test_four_panels_have_every_task_and_share_with_the_printed_points_beside_ours(figure5: Study) -> None:
    spec: Any = figures.parse(figure5.recipe.figures[0])
    panels, across = sparsity.panels(spec, sparsity.collect(spec, figure5))
    assert [panel.title for panel in panels] == [
        "Test set: mean", "Test set: standard deviation", "Training set: mean", "Training set: standard deviation",
    ]  # fmt: skip
    assert [share for share, _ in across.ticks] == list(ALL_SHARES)
    with open(figure5.recipe.path.with_name("figure5.csv"), newline="") as stream:
        rows = list(csv.DictReader(stream))
    for panel, split, measure in zip(panels, ("", "", "train", "train"), ("mean", "std") * 2, strict=True):
        ours = [line for line in panel.lines if line.role == "ours"]
        theirs = [line for line in panel.lines if line.role == "printed"]
        assert [line.label for line in ours] == TASKS
        assert {line.label for line in theirs} == {lines.PRINTED}
        assert [line.look for line in theirs] == [line.look for line in ours]
        for line, task in zip(theirs, ("cola", "stsb", "mrpc", "rte", "cb", "copa", "wsc"), strict=True):
            of_task = [(float(row["setting"][6:]), float(row[measure])) for row in rows
                       if (row["task"], row["split"]) == (task, split)]  # fmt: skip
            assert [(mark.x, mark.y) for mark in line.marks] == of_task
            assert [mark.x for mark in line.marks] == [share for share in ALL_SHARES if not split or share != 0.005]
        for line in ours:
            assert [mark.x for mark in line.marks] == [mark.x for mark in theirs[0].marks]
        name = split or "test"
        for line, task in ((ours[0], "cola"), (ours[4], "cb")):
            for mark in line.marks:
                runs = [o.run for o in figure5.outcomes if (o.run.task, o.run.options["share"]) == (task, mark.x)]
                values = [100 * score(run, name) for run in runs]
                assert mark.y == pytest.approx(np.mean(values) if measure == "mean" else np.std(values))
        assert all(mark.y is None for line in ours if line.label not in ("CoLA", "CB") for mark in line.marks)


def test_at_the_share_of_table_1_only_two_tasks_equal_it() -> None:
    """As the recipe's notes say."""
    folder = recipes.find("effectiveness/figure5").parent
    cells = [cell for cell in published.read(folder / "figure5.csv") if not cell.split]
    assert len(cells) == 70
    table = {cell.task: cell for cell in published.read(folder / "table1.csv") if cell.strategy == "sam"}
    at = [cell for cell in cells if cell.setting == {"share": 0.005}]
    equal = [
        cell.task
        for cell in at
        if (round(cell.mean or 0, 2), round(cell.std or 0, 2)) == (table[cell.task].mean, table[cell.task].std)
    ]
    assert (len(at), equal) == (7, ["cola", "mrpc"])
    (notes,) = [note for note in recipes.load(folder / "figure5.yaml").notes if "Table 1;" in note]
    assert "only CoLA and MRPC equal Table 1; the other five" in notes
    single = [(cell.task, cell.setting["share"]) for cell in cells if cell.std == 0]
    assert single == [("stsb", 0.0002)]
