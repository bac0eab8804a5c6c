"""The numbers that figures draw, against plain loops, numpy, scipy and the printed tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import (
    bars,
    curves,
    layers,
    low_data,
    mask_change,
    points,
    rank_scatter,
    sparsity,
    training_curves,
)
from peftcli.report.figures.training_curves import Curve
from peftcli.report.table import published
from peftcli.tasks import registry as tasks
from tests import synthetic, written_records
from tests.drawn import LAYERS, RECIPE, SHARES, SIZES, entry, odd, study_of


def test_bars_show_mean_and_deviation_at_the_best_rate(tmp_path: Path) -> None:
    found = bars.collect(entry("bars"), study_of(tmp_path))
    study = study_of(tmp_path)
    assert [point.label for point in found][:3] == ["Full on CoLA", "LayerNorm on CoLA", "BitFit on CoLA"]
    for point in found:
        rates: dict[float, list[float]] = {}
        for outcome in study.outcomes:
            planned = outcome.planned
            if (planned.strategy, planned.task) == (found.index(point) % 3, found.index(point) // 3):
                rates.setdefault(planned.run.learning_rate, []).append(100 * synthetic.level(planned))
        best = max(rates.values(), key=np.mean)
        assert point.mean == pytest.approx(np.mean(best), abs=1e-9)
        assert point.std == pytest.approx(np.std(best, ddof=1), abs=1e-9)
        assert (point.n, point.planned) == (4, 4)
    assert points.notes(found) == []


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


def test_published_marks_are_the_printed_numbers_the_best_rate_s_where_several_are(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("freezing/table1"))
    study = figures.study(recipe, tmp_path)
    found = bars.collect(entry("bars", published=True), study)
    printed = published.read(recipe.path.parent / "table1.csv")
    for point in found:
        strategy, task = point.group.outcomes[0].run.strategy, point.group.column.column
        wanted = max(cell.mean for cell in printed if (cell.strategy, cell.task) == (strategy, task) and cell.mean)
        assert point.printed == wanted
    assert len(found) == 18


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


def test_medians_stop_where_fewer_than_half_of_the_runs_are_left() -> None:
    values = np.random.default_rng(0).normal(size=(5, 8))
    ends = (8, 8, 6, 4, 3)
    lines = [Curve(s, tuple(range(end)), tuple(values[s, :end])) for s, end in enumerate(ends)]
    steps, found = training_curves.medians(lines)
    assert steps == [0, 1, 2, 3, 4, 5]
    for step, value in zip(steps, found, strict=True):
        assert value == np.median([values[s, int(step)] for s, end in enumerate(ends) if step < end])


def test_a_regression_s_loss_is_not_in_nats(tmp_path: Path) -> None:
    study = study_of(tmp_path, lambda planned: "missing", tasks=["stsb", "rte"])
    found = curves.panels(entry("curves"), study)
    assert {panel.column: panel.unit for panel in found} == {"stsb": "squared error", "rte": "nats"}


def test_mask_changes_follow_the_strategies_own_steps() -> None:
    opened, chosen = mask_change.steps({"burn_in": 499, "again": 600}, 1800) or ((), ())
    # diffpruning: gates open again at every multiple of `again`, and close when updates % again == burn_in
    assert opened == tuple(u for u in range(1, 1801) if u % 600 == 0)
    assert chosen == tuple(u for u in range(1, 1801) if u % 600 == 499)
    assert mask_change.steps({"burn_in": 499, "again": None}, 1800) == ((), (499,))
    assert mask_change.steps({"every": 5}, 12) == ((), (5, 10))
    assert mask_change.steps({"share": 0.1}, 12) is None


def test_layers_are_in_order_with_baselines_level(tmp_path: Path) -> None:
    study = study_of(tmp_path, strategies=[*LAYERS[::-1], RECIPE["strategies"][0]])
    found = layers.collect(entry("layers", baselines=["full"]), study)
    made_panels, across = layers.panels(entry("layers", baselines=["full"]), found)
    assert [place.x for place in made_panels[0].lines[0].marks] == [1, 2, 3, 4]
    assert across.ticks == ((1.0, "1"), (2.0, "2"), (3.0, "3"), (4.0, "4"))
    assert [line.role for line in made_panels[0].lines] == ["ours", "level"]
    second = next(p for p in found if p.label == "#2 on CoLA")
    assert made_panels[0].lines[0].marks[1].y == second.mean


def test_low_data_sizes_are_those_before_the_split(tmp_path: Path) -> None:
    study = study_of(tmp_path, tasks=[{"rte": {"label": "all"}}, *SIZES])
    spec = entry("low_data", learning_rate=1e-4)
    found = low_data.collect(spec, study)
    (panel,), across = low_data.panels(spec, study, found)
    assert [x for x, _ in across.ticks] == [100, 1000, tasks.TASKS["rte"].sizes["train"]]
    assert [line.label for line in panel.lines][:2] == ["Full (learning rate 1e-5)", "LayerNorm (learning rate 1e-4)"]
    assert all([place.x for place in line.marks] == [100, 1000, 2490] for line in panel.lines)


def test_a_size_that_no_record_tells_is_said(tmp_path: Path) -> None:
    own = {"mine": {"data": "mine", "text": ["a"], "label": "right", "metric": "accuracy"}}
    for split in ("train", "validation"):
        file = tmp_path / "mine" / f"{split}.csv"
        file.parent.mkdir(exist_ok=True)
        file.write_text("a,right\none,yes\ntwo,no\nthree,yes\n")
    study = study_of(
        tmp_path, lambda planned: "missing", tasks=[own, {"mine": {**own["mine"], "training": {"train_size": 9}}}]
    )
    drawing = figures.draw(entry("low_data", learning_rate=1e-4), study)
    assert "Left out, no record tells the number of examples: Full on mine" in drawing.description


def test_sparsity_has_means_and_deviations_over_rising_shares(tmp_path: Path) -> None:
    study = study_of(tmp_path, strategies=SHARES, tasks=["cola"], table={"ddof": 0})
    spec = entry("sparsity")
    found = sparsity.collect(spec, study)
    (means, deviations), across = sparsity.panels(spec, found)
    assert across.ticks == ((0.001, "0.1"), (0.01, "1"), (0.1, "10"))
    for place, deviation, share in zip(means.lines[0].marks, deviations.lines[0].marks, (1, 2, 0), strict=True):
        own = [100 * synthetic.level(o.planned) for o in study.outcomes if o.planned.strategy == share]
        best = max(np.split(np.array(own), 2), key=np.mean)
        assert place.y == pytest.approx(best.mean())
        assert deviation.y == pytest.approx(best.std(ddof=0))


def test_rank_scatter_gives_the_rho_of_the_printed_cells(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/table1"))
    written_records.from_published(recipe, tmp_path)
    study = figures.study(recipe, tmp_path)
    ranked = rank_scatter.ranks(rank_scatter.collect(entry("rank_scatter"), study), 2)
    cells = [cell for cell in published.read(recipe.path.parent / "table1.csv") if cell.task != "average"]
    stability, performance = [], []
    for task in dict.fromkeys(cell.task for cell in cells):
        own = [cell for cell in cells if cell.task == task]
        stability += list(stats.rankdata([cell.std for cell in own]))
        performance += list(stats.rankdata([-(cell.mean or 0) for cell in own]))
    assert sorted((r.stability, r.performance) for r in ranked) == sorted(zip(stability, performance, strict=True))
    wanted = stats.spearmanr(stability, performance)
    found = rank_scatter.correlation(ranked)
    assert found.statistic == pytest.approx(wanted.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert found.statistic == pytest.approx(0.485, abs=5e-4)
