"""Figures: their numbers against plain loops, numpy and scipy, their bytes, and what they say of runs not there."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from peftcli import figures, published, tasks
from peftcli import recipe as recipes
from peftcli.errors import UserError
from peftcli.figures import (
    bars,
    curves,
    density,
    layers,
    low_data,
    mask_change,
    points,
    rank_scatter,
    sparsity,
    style,
    weights,
)
from peftcli.figures.curves import Curve
from peftcli.plan import Planned
from tests import made, synthetic

RECIPE: dict[str, Any] = {
    "title": "A small recipe",
    "model": "minilm",
    "tasks": [{"cola": {"label": "CoLA"}}, {"rte": {"label": "RTE"}}],
    "strategies": [
        {"full": {"label": "Full", "learning_rates": [1e-5]}},
        {"layernorm": {"label": "LayerNorm"}},
        {"bitfit": {"label": "BitFit"}},
    ],
    "learning_rates": [1e-4, 1e-3],
    "seeds": 4,
    "table": {"ddof": 1},
}
LAYERS = [{"layernorm": {"layers": [n], "label": f"#{n}"}} for n in range(1, 5)]
SHARES = [{"sam": {"share": share, "label": str(share)}} for share in (0.1, 0.001, 0.01)]
SIZES = [{"rte": {"label": str(n), "training": {"train_size": n}}} for n in (100, 1000)]


def study_of(tmp_path: Path, state: Callable[[Planned], str] | None = None, **changes: Any) -> figures.Study:
    recipe = recipes.build({**RECIPE, **changes}, tmp_path / "small.yaml", {})
    synthetic.write_all(recipe, tmp_path / "results", state)
    return figures.study(recipe, tmp_path / "results")


def entry(kind: str, **options: Any) -> figures.Spec:
    return figures.parse({"kind": kind, "name": "one", **options})


def odd(planned: Planned) -> str:
    """Seeds 1 to 3 of LayerNorm on RTE end badly, and nothing of BitFit on CoLA was run."""
    if (planned.strategy, planned.task) == (1, 1):
        return ("completed", "diverged", "failed", "collapsed")[planned.run.seed]
    return "missing" if (planned.strategy, planned.task) == (2, 0) else "completed"


# ---- entries of a recipe


def test_entries_of_every_recipe_are_known() -> None:
    count = 0
    for name in recipes.shipped():
        if not name.endswith("sensitivity"):
            count += len(figures.parse_all(recipes.load(recipes.find(name)).figures))
    assert count >= 13  # the papers' figures with numbers in them


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "bar", "name": "a"}, "unknown kind 'bar': did you mean 'bars'?"),
        ({"name": "a"}, "unknown kind 'None'"),
        ({"kind": "bars", "name": "a", "strat": 1}, "unknown key 'strat': did you mean 'start'?"),
        ({"kind": "bars", "name": "../a"}, "figure ../a: name: '../a'"),
        ({"kind": "bars"}, "key 'name' is missing"),
        ({"kind": "curves", "name": "a", "show": "los"}, "did you mean 'loss'?"),
    ],
)
def test_bad_entries_are_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        figures.parse(given)
    assert message in str(caught.value)


def test_two_figures_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="two are named 'a'"):
        figures.parse_all([{"kind": "bars", "name": "a"}, {"kind": "layers", "name": "a"}])


@pytest.mark.parametrize("options", [{"tasks": ["mrpc"]}, {"strategies": ["lora"]}, {"learning_rate": 0.5}])
def test_what_the_recipe_does_not_have_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    study = study_of(tmp_path, lambda planned: "missing")
    with pytest.raises(UserError, match=r"unknown .* of this figure"):
        figures.draw(entry("bars", **options), study)


# ---- numbers


def test_bars_show_mean_and_deviation_at_the_best_rate(tmp_path: Path) -> None:
    found = bars.collect(entry("bars"), study_of(tmp_path))
    study = study_of(tmp_path)
    assert [point.place for point in found][:3] == ["Full on CoLA", "LayerNorm on CoLA", "BitFit on CoLA"]
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
    kept = {point.place: point for point in bars.collect(entry("bars"), study)}
    cut = {point.place: point for point in bars.collect(entry("bars", collapsed="leave out"), study)}
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
    copied = [point.place for point in found if point.copied]
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
    steps, found = curves.medians(lines)
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
    assert [place.x for place in made_panels[0].lines[0].places] == [1, 2, 3, 4]
    assert across.ticks == ((1.0, "1"), (2.0, "2"), (3.0, "3"), (4.0, "4"))
    assert [line.role for line in made_panels[0].lines] == ["ours", "level"]
    second = next(p for p in found if p.place == "#2 on CoLA")
    assert made_panels[0].lines[0].places[1].y == second.mean


def test_low_data_sizes_are_those_before_the_split(tmp_path: Path) -> None:
    study = study_of(tmp_path, tasks=[{"rte": {"label": "all"}}, *SIZES])
    spec = entry("low_data", learning_rate=1e-4)
    found = low_data.collect(spec, study)
    (panel,), across = low_data.panels(spec, study, found)
    assert [x for x, _ in across.ticks] == [100, 1000, tasks.TASKS["rte"].sizes["train"]]
    assert [line.label for line in panel.lines][:2] == ["Full (learning rate 1e-5)", "LayerNorm (learning rate 1e-4)"]
    assert all([place.x for place in line.places] == [100, 1000, 2490] for line in panel.lines)


def test_a_size_that_no_record_tells_is_said(tmp_path: Path) -> None:
    own = {"mine": {"data": "mine", "text": ["a"], "label": "Mine", "metric": "accuracy"}}
    study = study_of(
        tmp_path, lambda planned: "missing", tasks=[own, {"mine": {**own["mine"], "training": {"train_size": 9}}}]
    )
    drawing = figures.draw(entry("low_data", learning_rate=1e-4), study)
    assert "Left out, no record tells the number of examples: Full on Mine" in drawing.description


def test_sparsity_has_means_and_deviations_over_rising_shares(tmp_path: Path) -> None:
    study = study_of(tmp_path, strategies=SHARES, tasks=["cola"], table={"ddof": 0})
    spec = entry("sparsity")
    found = sparsity.collect(spec, study)
    (means, deviations), across = sparsity.panels(spec, found)
    assert across.ticks == ((0.001, "0.1"), (0.01, "1"), (0.1, "10"))
    for place, deviation, share in zip(means.lines[0].places, deviations.lines[0].places, (1, 2, 0), strict=True):
        own = [100 * synthetic.level(o.planned) for o in study.outcomes if o.planned.strategy == share]
        best = max(np.split(np.array(own), 2), key=np.mean)
        assert place.y == pytest.approx(best.mean())
        assert deviation.y == pytest.approx(best.std(ddof=0))


def test_rank_scatter_gives_the_rho_of_the_printed_cells(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/table1"))
    made.from_published(recipe, tmp_path)
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


# ---- weights


def _tiny_model(folder: Path, prefix: str, old_names: bool) -> dict[str, np.ndarray]:
    from safetensors.numpy import save_file

    sizes = {"hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 6}
    rest = {"vocab_size": 9, "max_position_embeddings": 8, "type_vocab_size": 2, "model_type": "bert"}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(str({**sizes, **rest}).replace("'", '"'))
    source = np.random.default_rng(3)
    anatomy = weights.anatomy(str(folder))
    tensors = {p.name: source.normal(size=p.shape).astype(np.float32) for p in anatomy.parameters}
    stored = {}
    for name, value in tensors.items():
        kept = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        stored[prefix + (kept if old_names else name)] = value
    save_file(stored, folder / "model.safetensors")
    return tensors


@pytest.mark.parametrize(("prefix", "old_names"), [("", False), ("bert.", True)])
def test_weights_are_read_by_module_whatever_they_are_called(tmp_path: Path, prefix: str, old_names: bool) -> None:
    tensors = _tiny_model(tmp_path / "m", prefix, old_names)
    spec = entry("density")
    found, notes = density.collect(spec, str(tmp_path / "m"), {"none": tmp_path / "gone.safetensors"})
    roles = {
        "multihead": ("attention.self.", "attention.output.dense"),
        "feedforward": ("intermediate.dense", "output.dense"),
        "layernorm_attention": ("attention.output.LayerNorm",),
        "layernorm_ffn": ("output.LayerNorm",),
    }
    for module, parts in roles.items():
        own = [
            value
            for name, value in tensors.items()
            if name.startswith("encoder") and any(name.split(".", 3)[3].startswith(part) for part in parts)
        ]
        assert np.array_equal(np.sort(found["before"][module]), np.sort(np.concatenate([v.ravel() for v in own])))
    assert list(found) == ["before"]
    assert notes == ["After none: no saved weights at gone.safetensors (train with --save-delta)."]


def test_after_weights_replace_what_moved_alone(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    tensors = _tiny_model(tmp_path / "m", "", False)
    name = "encoder.layer.1.output.LayerNorm.bias"
    save_file({name: tensors[name] + 5, "head.output.weight": np.ones(3)}, tmp_path / "d.safetensors")
    found, notes = density.collect(entry("density"), str(tmp_path / "m"), {"rte": tmp_path / "d.safetensors"})
    difference = np.sort(found["after rte"]["layernorm_ffn"]).sum() - np.sort(found["before"]["layernorm_ffn"]).sum()
    assert difference == pytest.approx(4 * 5, abs=1e-4)
    assert np.array_equal(found["after rte"]["multihead"], found["before"]["multihead"])
    assert notes == []


def test_densities_count_every_weight_in_range() -> None:
    source = np.random.default_rng(0)
    before, after = source.normal(size=5000), source.normal(3, 1, 5000)
    first, second = density.outlines([before, after], 0.9)
    low, high = np.quantile(before, [0.05, 0.95])
    assert (first.edges[0], first.edges[-1]) == pytest.approx((low, high))
    assert second.kept == sum(low <= value <= high for value in after)
    assert (first.heights * np.diff(first.edges)).sum() == pytest.approx(first.kept / 5000)
    assert (second.heights * np.diff(second.edges)).sum() == pytest.approx(second.kept / 5000)


def test_weights_not_at_hand_are_said_and_damaged_ones_refused(tmp_path: Path) -> None:
    study = study_of(tmp_path, lambda planned: "missing")
    drawing = figures.draw(entry("density", model="/nowhere/at/all"), study)
    assert "not on this machine" in drawing.description
    _tiny_model(tmp_path / "m", "", False)
    (tmp_path / "m" / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(UserError, match="cannot read weights"):
        figures.draw(entry("density", model=str(tmp_path / "m")), study)


# ---- drawings

KINDS: dict[str, dict[str, Any]] = {
    "bars": {},
    "curves": {},
    "low_data": {"tasks": [{"rte": {"label": "all"}}, *SIZES]},
    "mask_change": {"strategies": [{"diffpruning": {"again": 60, "burn_in": 40}}], "learning_rates": [1e-4]},
    "rank_scatter": {},
    "sparsity": {"strategies": SHARES},
    "layers": {"strategies": [*LAYERS, RECIPE["strategies"][0]]},
    "density": {},
}
OPTIONS: dict[str, dict[str, Any]] = {"layers": {"baselines": ["full"]}, "low_data": {"learning_rate": 1e-4}}


def test_every_kind_is_tested() -> None:
    assert set(KINDS) == set(figures.PAINTERS)


@pytest.mark.parametrize("kind", KINDS)
def test_drawings_are_sound_and_nothing_is_clipped_or_overlaps(tmp_path: Path, kind: str) -> None:
    study = study_of(tmp_path, odd, **KINDS[kind])
    spec = entry(kind, **OPTIONS.get(kind, {}))
    if kind == "density":
        _tiny_model(tmp_path / "m", "", False)
        spec = entry(kind, model=str(tmp_path / "m"))
    drawing = figures.draw(spec, study)
    assert ElementTree.fromstring(drawing.svg).tag.endswith("svg")
    assert drawing.png.startswith(b"\x89PNG")
    assert len(drawing.svg) < 500_000
    _check_border(drawing.png)
    with style.settings():
        figure, words = figures.PAINTERS[kind](spec, study)
        assert words == drawing.description
        style.encode(figure)
        _check_texts(figure)


def _check_texts(figure: Any) -> None:
    """Every axis is named, and no title, name, tick or legend lies on another."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    shown = [axes for axes in figure.axes if axes.axison]
    texts = [text for axes in shown for text in (axes.title, axes.xaxis.label, axes.yaxis.label)]
    axis = [one for axes in shown for one in (axes.xaxis, axes.yaxis)]
    texts += [tick.label1 for one in axis for tick in one._update_ticks()]
    drawn = [text for text in texts if text.get_visible() and text.get_text().strip()]
    boxes = [text.get_window_extent(renderer).padded(-0.5) for text in drawn]
    for at, box in enumerate(boxes):
        for before, other in zip(drawn[:at], boxes[:at], strict=True):
            assert not box.overlaps(other), (drawn[at].get_text(), before.get_text())
    for axes in shown:
        assert axes.get_xlabel() or any(other.get_xlabel() for other in shown)
        assert axes.get_ylabel() or any(other.get_ylabel() for other in shown)
        for legend in figure.legends:
            assert not legend.get_window_extent(renderer).padded(-3).overlaps(axes.get_tightbbox(renderer))


def _check_border(png: bytes) -> None:
    """What is drawn ends before the edge: the outermost pixels are white."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    for edge in (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]):
        assert edge.min() == 255
    assert pixels.min() == 0


def test_bars_differ_without_colour_and_lines_too() -> None:
    fills = [(style.fill(n)["hatch"], style.fill(n)["facecolor"]) for n in range(10)]
    assert len({hatch for hatch, _ in fills}) == 10
    looks = [(str(style.look(n)["linestyle"]), style.look(n)["marker"]) for n in range(10)]
    assert len(set(looks)) == 10


def test_dense_curves_stay_small(tmp_path: Path) -> None:
    recipe = recipes.build({**RECIPE, "seeds": 12, "learning_rates": [1e-4]}, tmp_path / "r.yaml", {})
    synthetic.write_all(recipe, tmp_path / "results", points=400)
    drawing = figures.draw(entry("curves", tasks=["rte"]), figures.study(recipe, tmp_path / "results"))
    assert b"<image" in drawing.svg
    assert len(drawing.svg) < 600_000


def test_hostile_words_are_drawn_as_they_are(tmp_path: Path) -> None:
    labels = ["$\\frac{x}", "_hidden", "<b>&--></svg>", "line\nbreak\x00\x1b[31m"]
    given = [{"layernorm": {"layers": [n], "label": label}} for n, label in enumerate(labels, 1)]
    study = study_of(tmp_path, strategies=given, tasks=[{"rte": {"label": "a $ b $ c"}}])
    for kind in ("bars", "curves"):
        drawing = figures.draw(entry(kind), study)
        ElementTree.fromstring(drawing.svg)
        assert "_hidden" in drawing.description


def test_bytes_are_the_same_in_another_process_and_under_other_settings(tmp_path: Path) -> None:
    import matplotlib

    study = study_of(tmp_path, odd)
    specs = [entry("bars"), entry("curves", tasks=["rte"])]
    first = [figures.draw(spec, study) for spec in specs]
    with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "svg.fonttype": "none", "lines.linewidth": 5}):
        again = [figures.draw(spec, study) for spec in specs]
    assert [(d.svg, d.png) for d in again] == [(d.svg, d.png) for d in first]
    program = (
        "import sys, hashlib; from pathlib import Path; from tests import test_figures as t; "
        "from peftcli import figures, recipe; r = recipe.build(t.RECIPE, Path(sys.argv[1]) / 'small.yaml', {}); "
        "s = figures.study(r, Path(sys.argv[1]) / 'results'); d = figures.draw(t.entry('curves', tasks=['rte']), s); "
        "print(hashlib.sha256(d.svg + d.png).hexdigest())"
    )
    import hashlib

    environment = {**os.environ, "PYTHONHASHSEED": "5", "SOURCE_DATE_EPOCH": "1"}
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", program, str(tmp_path)]
    printed = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == hashlib.sha256(first[1].svg + first[1].png).hexdigest()


def test_nothing_heavy_is_imported_before_a_figure_is_drawn() -> None:
    program = (
        "import sys; import peftcli.figures, peftcli.html; "
        "print([m for m in ('torch', 'matplotlib', 'scipy', 'pandas', 'transformers') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_png_opens(tmp_path: Path) -> None:
    from PIL import Image

    drawing = figures.draw(entry("bars"), study_of(tmp_path))
    image = Image.open(io.BytesIO(drawing.png))
    image.load()
    assert image.width > 500
    assert "Software" not in image.info
