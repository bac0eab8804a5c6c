"""The task's loss on a logarithmic axis, beside the paper's curve."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import mask_change, training_curves
from peftcli.report.figures.study import Study
from tests import written_records
from tests.drawn import entry, study_of


def figure3(output: Path, penalty: dict[str, float]) -> tuple[Study, list[float]]:
    """Figure 3's recipe with a record of its run, whose losses fall from 1 to 1e-5 and stand 5 updates apart."""
    recipe = recipes.load(recipes.find("effectiveness/figure3"))
    (planned,) = plan.expand(recipe)
    losses = [float(loss) for loss in np.geomspace(1.0, 1e-5, 960)]
    entries = [
        {"step": 5 * number, "epoch": number / 3, "loss": loss, **penalty, "learning_rate": 1e-4}
        for number, loss in enumerate(losses, 1)
    ]
    written_records.write(output, planned.run, {"validation": {"accuracy": 0.5}}, training=entries)
    return figures.study(recipe, output), losses


def test_figure_3_shows_the_task_s_loss_on_a_logarithmic_axis_beside_the_paper_s(tmp_path: Path) -> None:
    study, losses = figure3(tmp_path, {"penalty": 0.99})
    spec: Any = figures.parse(study.recipe.figures[0])
    (panel,) = mask_change.panels(spec, study)
    assert panel.curves[0].values == tuple(losses)
    assert panel.curves[0].steps == tuple(range(5, 4801, 5))
    lines = study.recipe.path.with_name("figure3.csv").read_text().split()
    assert len(lines) == 179
    assert panel.theirs == tuple(tuple(map(float, line.split(","))) for line in lines[1:])
    (ax,) = mask_change.paint([panel]).axes
    assert ax.get_yscale() == "log"
    drawn = [line for line in ax.lines if len(line.get_xdata()) > 2]  # type: ignore[arg-type]
    assert [len(line.get_xdata()) for line in drawn] == [178, 960]  # type: ignore[arg-type]
    assert mask_change.notes([panel]) == []


def test_a_loss_that_an_earlier_version_recorded_with_its_penalty_is_said_to_hold_it(tmp_path: Path) -> None:
    study, _ = figure3(tmp_path, {})
    drawing = figures.draw_all(study)[0]
    assert f"{training_curves.WITH_PENALTY}: DiffPruning on CB (learning rate 1e-4): seed 0." in drawing.description
    with_it = figures.draw_all(figure3(tmp_path / "other", {"penalty": 0.99})[0])[0]
    assert training_curves.WITH_PENALTY not in with_it.description


def test_the_paper_s_curve_must_be_there(tmp_path: Path) -> None:
    study = study_of(tmp_path, strategies=["diffpruning"], learning_rates=[1e-4])
    with pytest.raises(UserError, match="cannot read published figure"):
        mask_change.panels(entry("mask_change", published="none.csv"), study)


def test_what_the_recipe_says_of_the_printed_curve_is_so() -> None:
    recipe = recipes.load(recipes.find("effectiveness/figure3"))
    points = [
        tuple(map(float, line.split(","))) for line in (recipe.path.parent / "figure3.csv").read_text().split()[1:]
    ]
    highest = [
        max(loss for step, loss in points if start - 20 <= step < start + 580) for start in range(600, 4800, 600)
    ]
    assert (round(min(highest), 2), round(max(highest), 2), round(points[0][1], 2)) == (0.18, 0.97, 1.12)
    assert points[-1][0] == 4789
    assert any("between 0.18 and 0.97" in note and "1.12" in note for note in recipe.notes)
