"""Curves: what the records hold, run by run."""

from pathlib import Path
from typing import Any

from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import curves, spec, style
from tests import synthetic
from tests.drawn import RECIPE, entry, odd, study_of


def test_curves_are_what_the_records_hold(tmp_path: Path) -> None:
    study = study_of(tmp_path, odd)
    found = curves.panels(entry("curves", learning_rate=1e-3, tasks=["rte"], strategies=["layernorm"]), study)
    assert [panel.title for panel in found] == ["RTE, LayerNorm"]
    lines = found[0].quantities[curves.TRAINING]
    assert ([line.seed for line in lines], found[0].expected) == ([0, 1, 3], 4)
    for line in lines:
        body = next(study.body(o) for o in study.outcomes if _is(o, "layernorm", "rte", 1e-3, line.seed))
        assert body is not None
        assert line.values == tuple(e["loss"] for e in body["training"])
        assert line.steps == tuple(e["step"] for e in body["training"])
    assert lines[1].ended == "diverged after step 500"
    assert curves.notes(found) == [
        "Fewer curves than runs: RTE, LayerNorm: 3 of 4.",
        "Ended early: RTE, LayerNorm: seed 1 diverged after step 500.",
    ]


def _is(outcome: Any, strategy: str, task: str, rate: float, seed: int) -> bool:
    run = outcome.run
    return (run.strategy, run.task, run.learning_rate, run.seed) == (strategy, task, rate, seed)


def test_metric_curves_are_times_100_and_of_the_split_that_chooses(tmp_path: Path) -> None:
    study = study_of(tmp_path, training={"validation_share": 0.2, "restore_best": True})
    found = curves.panels(entry("curves", show="metric", tasks=["cola"], strategies=["full"]), study)
    line = found[0].quantities["matthews"][0]
    body = study.body(next(o for o in study.outcomes if _is(o, "full", "cola", 1e-5, 0)))
    assert body is not None
    assert line.values == tuple(100 * e["matthews"] for e in body["evaluations"] if e["split"] == "validation")


def test_a_regression_s_loss_is_not_in_nats(tmp_path: Path) -> None:
    study = study_of(tmp_path, lambda planned: "missing", tasks=["stsb", "rte"])
    found = curves.panels(entry("curves"), study)
    assert {panel.column: panel.unit for panel in found} == {"stsb": "squared error", "rte": "nats"}


def test_dense_curves_stay_small(tmp_path: Path) -> None:
    # One panel of 36 curves: 14,400 losses and 2,880 evaluations, more points than an SVG holds as lines.
    one = {"strategies": ["layernorm"], "tasks": ["rte"], "seeds": 36, "learning_rates": [1e-4]}
    recipe = recipes.build({**RECIPE, **one}, tmp_path / "r.yaml", {})
    synthetic.write_all(recipe, tmp_path / "results", points=400)
    drawing = figures.draw(entry("curves", tasks=["rte"]), figures.study(recipe, tmp_path / "results"))
    assert b"<image" in drawing.svg
    assert len(drawing.svg) < 600_000


def test_a_logarithmic_axis_of_losses_neither_starts_at_0_nor_touches_metrics(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    with style.settings():
        for show, scale in (("loss", "log"), ("metric", "linear")):
            options = entry("curves", show=show, scale="log", tasks=["rte"], strategies=["layernorm"])
            figure, _ = spec.KINDS["curves"].draw(options, study)
            (axes,) = figure.axes
            values = [value for line in axes.lines for value in line.get_ydata()]
            low, high = axes.get_ylim()
            assert axes.get_yscale() == scale
            assert 0 < low <= min(values) < max(values) <= high
            assert axes.xaxis.get_major_formatter()(15000) == "15,000"
            assert len([tick for tick in axes.get_xticks() if 0 <= tick <= axes.get_xlim()[1]]) <= 5


def test_several_metrics_have_one_entry_of_the_legend(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    for tasks, words in ((["cola", "rte"], "metric"), (["rte"], "accuracy")):
        with style.settings():
            figure, _ = spec.KINDS["curves"].draw(entry("curves", show="metric", tasks=tasks), study)
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert texts == [f"{words}, each seed", f"{words}, median"]
