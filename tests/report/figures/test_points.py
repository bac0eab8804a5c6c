"""The numbers that figures draw, against plain loops, numpy, scipy and the printed tables."""

from pathlib import Path

import pytest

from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import (
    bars,
    points,
)
from peftcli.report.table import published
from tests import synthetic
from tests.drawn import entry, odd, study_of


def test_what_is_not_there_is_counted_and_said(tmp_path: Path) -> None:
    study = study_of(tmp_path, odd)
    kept = {point.label: point for point in bars.collect(entry("bars"), study)}
    cut = {point.label: point for point in bars.collect(entry("bars", collapsed="leave out"), study)}
    level = next(
        100 * synthetic.level(o.planned)
        for o in study.outcomes
        if (o.run.strategy, o.run.task, o.run.learning_rate, o.run.seed) == ("layernorm", "rte", 1e-3, 0)
    )
    assert kept["LayerNorm on RTE"].mean == pytest.approx((level + 50) / 2)
    assert cut["LayerNorm on RTE"].mean == pytest.approx(level)
    assert (cut["LayerNorm on RTE"].n, cut["LayerNorm on RTE"].left_out) == (1, 1)
    assert kept["BitFit on CoLA"].mean is None
    assert points.notes(list(kept.values())) == [
        "Fewer values than runs: BitFit on CoLA: 0 of 4 (4 missing); LayerNorm on RTE: 2 of 4 (1 diverged, 1 failed).",
        "One answer for every example: LayerNorm on RTE: 1 of 2 (kept).",
        "Learning rate chosen without some runs: LayerNorm on RTE: 1 of 8.",
    ]
    drawing = figures.draw(entry("bars"), study)
    assert "BitFit on CoLA: no value." in drawing.description
    assert "LayerNorm on RTE: 2 of 4 (1 diverged, 1 failed)" in drawing.description


def test_printed_fractions_and_maxima_are_shown_as_what_they_are(tmp_path: Path) -> None:
    study = figures.study(recipes.load(recipes.find("spafit/table2")), tmp_path)
    found = bars.collect(entry("bars", published=True, tasks=["rte"], strategies=["bitfit"]), study)
    cells = published.read(study.recipe.path.parent / "table2.csv")
    wanted = next(cell.maximum for cell in cells if (cell.strategy, cell.task) == ("bitfit", "rte"))
    assert [point.printed for point in found] == [pytest.approx(100 * (wanted or 0))]
    assert any(note.startswith("Printed as a maximum") for note in points.notes(found))


def test_copied_cells_are_said(tmp_path: Path) -> None:
    study = figures.study(recipes.load(recipes.find("transferability/table1")), tmp_path)
    found = bars.collect(entry("bars", published=True, strategies=["bitfit", "full"]), study)
    copied = [point.label for point in found if point.copied]
    assert len(copied) == 3
    assert any(note.startswith("Copied by the paper") and copied[0] in note for note in points.notes(found))
