"""How figures look, and how they become bytes: readable in grey, nothing clipped, the same bytes every time."""

import io
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart; neighbours differ in lightness too.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f7f7f", "#f0e442")
HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----", "||||", "++++", "//", "\\\\", "xx")  # dots make an SVG large
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
LINES: tuple[Any, ...] = (
    "solid",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (5, 1.5, 1, 1.5)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
LISTED = 6  # items in a note; more are counted
MARGIN = 0.06  # inches around the drawing
RESOLUTION = {"png": 150, "svg": 120}  # dots per inch; in an SVG of what is drawn as a picture
_SETTINGS: dict[str, Any] = {
    "svg.hashsalt": "peftcli",
    "svg.fonttype": "path",  # a reader without the font sees the same picture
    "svg.image_inline": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.handlelength": 3.0,
    "figure.constrained_layout.use": True,
    "path.simplify": True,
    "path.simplify_threshold": 0.3,
    "axes.formatter.useoffset": False,
}

# What metrics are called on an axis, with their unit: records hold fractions, figures show them times 100.
METRICS = {
    "accuracy": "accuracy (%)",
    "f1": "F1 (%)",
    "f1_macro": "macro F1 (%)",
    "f1_micro": "micro F1 (%)",
    "entity_f1": "entity F1 (%)",
    "mean_accuracy_f1": "mean of accuracy and F1 (%)",
    "matthews": "Matthews correlation (× 100)",
    "pearson": "Pearson correlation (× 100)",
    "spearman": "Spearman correlation (× 100)",
    "mean_pearson_spearman": "mean of Pearson and Spearman (× 100)",
}
SHORT = {
    "mean_accuracy_f1": "acc. & F1 (%)",
    "matthews": "Matthews (× 100)",
    "pearson": "Pearson (× 100)",
    "spearman": "Spearman (× 100)",
    "mean_pearson_spearman": "Pearson & Spearman (× 100)",
}
MODULES = {
    "multihead": "multi-head attention",
    "feedforward": "feed-forward",
    "layernorm_attention": "LayerNorm behind attention",
    "layernorm_ffn": "LayerNorm behind feed-forward",
}


@contextmanager
def settings() -> Iterator[None]:
    """Draw with this program's settings, whatever the user's own matplotlibrc says."""
    from matplotlib import style

    with style.context(["default", _SETTINGS]):
        yield


def grid(rows: int, columns: int, width: float, height: float, **shared: Any) -> "tuple[Figure, list[list[Axes]]]":
    """Make a figure of `rows` by `columns` panels, each `width` by `height` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, [list(row) for row in axes]


def look(index: int) -> dict[str, Any]:
    """Colour, line and marker of the line number `index` (from 0): no two of the first 120 are alike."""
    # A shift at each round of the colours, or a colour would always come with the same line.
    line = (index + index // len(COLOURS)) % len(LINES)
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINES[line],
        "marker": MARKERS[index % len(MARKERS)],
        "markeredgecolor": "black",
        "markeredgewidth": 0.5,
    }


def fill(index: int) -> dict[str, Any]:
    """Colour and hatch of the bar number `index` (from 0)."""
    colour, hatch = COLOURS[index % len(COLOURS)], HATCHES[index % len(HATCHES)]
    return {"facecolor": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.6}


def legend(figure: "Figure", handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put the legend above all panels, in as many columns as fit the figure's width."""
    if not labels:
        return
    room = figure.get_figwidth() * 72  # points
    # At 8 points a letter is about 4.5 points wide; a handle with its spaces takes 44.
    widest = max(len(label) for label in labels) * 4.5 + 44
    rows = -(-len(labels) // max(1, int(room / widest)))
    columns = -(-len(labels) // rows)
    # matplotlib fills a legend column by column; it is read row by row.
    order = [at for first in range(columns) for at in range(first, len(labels), columns)]
    shown = [escape(labels[at]) for at in order]
    figure.legend([handles[at] for at in order], shown, loc="outside upper center", ncols=columns)


def listed(head: str, items: Iterable[str]) -> str:
    """Make one note of several items, empty ones left out, those beyond the first six counted; "" without any."""
    said = [item for item in items if item]
    more = [f"and {len(said) - LISTED} more"] if len(said) > LISTED else []
    return f"{head}: {'; '.join([*said[:LISTED], *more])}." if said else ""


def write_notes(figure: "Figure", notes: Sequence[str]) -> None:
    """Write notes below the figure, wrapped to its width; a tight border makes room for them."""
    if not notes:
        return
    # At 7.5 points a letter is about 4.4 points wide; less than 30 letters a line would be hard to read.
    characters = max(30, int(figure.get_figwidth() * 72 / 4.4))
    lines = [line for note in notes for line in textwrap.wrap(escape(note), characters, subsequent_indent="   ")]
    below = -0.05 / figure.get_figheight()  # a twentieth of an inch, as a fraction of the figure's height
    figure.text(0.01, below, "\n".join(lines), ha="left", va="top", fontsize=7.5, linespacing=1.3)


def escape(text: str) -> str:
    """Make any text safe to draw: no mathematics between dollars, no control characters, no label that hides itself."""
    plain = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    plain = plain.replace("$", r"\$")  # a pair of dollars would be typeset
    # matplotlib leaves labels with a leading underscore out of legends.
    return f" {plain}" if plain.startswith("_") else plain


def encode(figure: "Figure") -> dict[str, bytes]:
    """Return a figure's bytes as `svg` and `png`; the same figure gives the same ones: no date, no version, fixed ids."""
    figure.draw_without_rendering()  # lays the figure out, once
    figure.set_layout_engine("none")
    around = figure.get_tightbbox().padded(MARGIN)
    encoded = {}
    # Dates and versions are left out of the files, or no two machines would write the same bytes.
    for kind, metadata in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, metadata=metadata, dpi=RESOLUTION[kind], bbox_inches=around)
        encoded[kind] = stream.getvalue()
    return encoded


def axis(metric: str) -> str:
    """Name a metric's axis, its unit in brackets; records hold fractions, figures show them times 100."""
    return METRICS.get(metric, f"{metric.replace('_', ' ')} (× 100)")


def short(metric: str) -> str:
    """Name a metric where there is little room."""
    return SHORT.get(metric, axis(metric))
