"""Figures: nothing clipped or overlapping, the same bytes wherever they are drawn, safe whatever the words."""

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from peftcli.report import figures
from peftcli.report.figures import spec, style
from tests.drawn import LAYERS, RECIPE, SHARES, SIZES, entry, odd, study_of, tiny_model

KINDS: dict[str, dict[str, Any]] = {
    "bars": {},
    "curves": {},
    "low_data": {"tasks": [{"rte": {"label": "all"}}, *SIZES]},
    "mask_change": {"strategies": [{"diffpruning": {"again": 60, "burn_in": 40}}], "learning_rates": [1e-4]},
    "ranks": {},
    "sparsity": {"strategies": SHARES},
    "layers": {"strategies": [*LAYERS, RECIPE["strategies"][0]]},
    "density": {},
    "pareto": {},
    "critical_difference": {
        "tasks": ["mrpc", "rte", "cola", "sst2", "qnli"],
        "strategies": [*RECIPE["strategies"], "frozen", "random"],
    },
}
OPTIONS: dict[str, dict[str, Any]] = {"layers": {"baselines": ["full"]}, "low_data": {"learning_rate": 1e-4}}


def test_every_kind_is_tested() -> None:
    assert set(KINDS) == set(spec.KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_drawings_are_sound_and_nothing_is_clipped_or_overlaps(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out, encode = [], style.encode
    monkeypatch.setattr(style, "encode", lambda figure: laid_out.append(figure) or encode(figure))
    study = study_of(tmp_path, odd, **KINDS[kind])
    options = entry(kind, **OPTIONS.get(kind, {}))
    if kind == "density":
        tiny_model(tmp_path / "m", "", False)
        options = entry(kind, model=str(tmp_path / "m"))
    drawing = figures.draw(options, study)
    assert ElementTree.fromstring(drawing.svg).tag.endswith("svg")
    assert drawing.png.startswith(b"\x89PNG")
    assert len(drawing.svg) < 500_000
    _check_border(drawing.png)
    with style.settings():
        assert spec.KINDS[kind].draw(options, study)[1] == drawing.description
        _check_texts(*laid_out)


def _check_texts(figure: Any) -> None:
    """Every axis is named, and no title, name, tick or legend lies on another."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
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


def test_hostile_words_are_drawn_as_they_are(tmp_path: Path) -> None:
    labels = ["$\\frac{x}", "_hidden", "<b>&--></svg>", "line\nbreak\x00\x1b[31m"]
    strategies = [{"layernorm": {"layers": [n], "label": label}} for n, label in enumerate(labels, 1)]
    tasks = [{"rte": {"label": "a $ b $ c"}}]
    study = study_of(tmp_path, strategies=strategies, tasks=tasks, seeds=1, learning_rates=[1e-4])
    for kind in ("bars", "curves"):
        drawing = figures.draw(entry(kind), study)
        ElementTree.fromstring(drawing.svg)
        assert "_hidden" in drawing.description


AGAIN = """
import hashlib, sys
from pathlib import Path
import matplotlib
from peftcli.experiment import recipe
from peftcli.report import figures
from tests import drawn
folder = Path(sys.argv[1])
study = figures.study(recipe.build(drawn.RECIPE, folder / "small.yaml", {}), folder / "results")
with matplotlib.rc_context({"font.size": 20, "axes.grid": False, "svg.fonttype": "none", "lines.linewidth": 5}):
    for kind in ("bars", "curves"):
        drawing = figures.draw(drawn.entry(kind, tasks=["rte"]), study)
        print(hashlib.sha256(drawing.svg).hexdigest(), hashlib.sha256(drawing.png).hexdigest())
"""


def test_bytes_are_the_same_in_another_process_and_under_other_settings(tmp_path: Path) -> None:
    study = study_of(tmp_path, odd)
    drawings = [figures.draw(entry(kind, tasks=["rte"]), study) for kind in ("bars", "curves")]
    environment = {**os.environ, "PYTHONHASHSEED": "5", "SOURCE_DATE_EPOCH": "1"}
    command, root = [sys.executable, "-c", AGAIN, str(tmp_path)], Path(__file__).parents[3]
    printed = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True).stdout
    expected = [[hashlib.sha256(part).hexdigest() for part in (one.svg, one.png)] for one in drawings]
    assert [line.split() for line in printed.splitlines()] == expected


def test_nothing_heavy_is_imported_before_a_figure_is_drawn() -> None:
    program = (
        "import sys; import peftcli.report.figures, peftcli.report.formats.html; "
        "print([m for m in ('torch', 'matplotlib', 'scipy', 'pandas', 'transformers', 'jinja2') if m in sys.modules])"
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
