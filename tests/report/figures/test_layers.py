"""The metric by layer: in order, baselines level."""

from pathlib import Path

from peftcli.report.figures import (
    layers,
)
from tests.drawn import LAYERS, RECIPE, entry, study_of


def test_layers_are_in_order_with_baselines_level(tmp_path: Path) -> None:
    study = study_of(tmp_path, strategies=[*LAYERS[::-1], RECIPE["strategies"][0]])
    found = layers.collect(entry("layers", baselines=["full"]), study)
    made_panels, across = layers.panels(entry("layers", baselines=["full"]), found)
    assert [place.x for place in made_panels[0].lines[0].marks] == [1, 2, 3, 4]
    assert across.ticks == ((1.0, "1"), (2.0, "2"), (3.0, "3"), (4.0, "4"))
    assert [line.role for line in made_panels[0].lines] == ["ours", "level"]
    second = next(p for p in found if p.label == "#2 on CoLA")
    assert made_panels[0].lines[0].marks[1].y == second.mean
