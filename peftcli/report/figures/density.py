"""Densities of each module's weights before and after training (transferability, Figures 1 and 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli import records
from peftcli.records import beside
from peftcli.report.figures import style, weights
from peftcli.report.figures.spec import Density
from peftcli.report.figures.study import Study
from peftcli.report.figures.words import MODULES

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy import ndarray

MOST, FEWEST = 160, 30  # bins


@dataclass(frozen=True)
class Outline:
    """One density: `edges` [bins + 1] of weights, `heights` [bins] per unit; `kept` of `count` weights lie within."""

    edges: "ndarray"
    heights: "ndarray"
    count: int
    kept: int


def draw(spec: Density, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows. Raises UserError for weights that cannot be read."""
    found, remarks = collect(spec, spec.model or study.recipe.model, saved(spec, study))
    head = f"Densities of the weights of {spec.model or study.recipe.model}: {', '.join(found) or 'none at hand'}."
    return paint(spec, found, remarks), " ".join([head, *remarks])


def saved(spec: Density, study: Study) -> dict[str, Path]:
    """Where the weights after training are: where the figure says, else beside the first seed's record with some."""
    if spec.after:
        return {label: Path(path).expanduser() for label, path in spec.after.items()}
    names = spec.strategies or [name for name, _ in study.recipe.strategies if name == "full"]
    found = {}
    for group in study.groups(spec.tasks, names, "best") if names else ():
        files = [beside.delta(records.path(study.output, outcome.run)) for outcome in group.outcomes]
        found[f"{group.label} on {group.column.label}"] = next((file for file in files if file.exists()), files[0])
    return found


def outlines(sources: "Sequence[ndarray]", share: float) -> list[Outline]:
    """Histogram weights over one range: what holds the middle `share` of the first source; all weights, none sampled.

    Heights are counts over (all weights times bin width), so what lies outside the range is missing from the area.
    """
    import numpy as np

    low, high = np.quantile(sources[0], [(1 - share) / 2, (1 + share) / 2])
    if low == high:
        low, high = low - 0.5, high + 0.5
    bins = min(MOST, max(FEWEST, int(len(sources[0]) ** 0.5)))  # few weights in narrow bins show nothing but chance
    found = []
    for values in sources:
        counts, edges = np.histogram(values, bins=bins, range=(low, high))
        found.append(Outline(edges, counts / (len(values) * np.diff(edges)), len(values), int(counts.sum())))
    return found


def collect(spec: Density, model: str, after: Mapping[str, Path]) -> "tuple[dict[str, dict[str, ndarray]], list[str]]":
    """Read the weights: label -> module -> [weights], first the pre-trained ones; and what to say of those not at hand.

    `after` maps a label to a folder or file of weights; tensors it lacks are taken as unchanged. Raises UserError.
    """
    source = weights.locate(model)
    if source is None:
        return {}, [f"The weights of {model} are not on this machine, so no density is drawn."]
    anatomy = weights.anatomy(model)
    wanted = weights.names(anatomy, spec.modules)
    tensors = weights.read(source, wanted)
    found = {"before": weights.by_module(tensors, anatomy, spec.modules)}
    notes = []
    for label, file in after.items():
        if not file.exists():
            notes.append(f"After {label}: no saved weights at {file.name} (train with --save-delta).")
            continue
        moved = weights.moved(file, tensors)
        if not moved:
            notes.append(f"After {label}: {file.name} has moved none of these modules' weights.")
            continue
        found[f"after {label}"] = weights.by_module(tensors | moved, anatomy, spec.modules)
    return found, notes


def paint(spec: Density, found: "Mapping[str, Mapping[str, ndarray]]", notes: Sequence[str]) -> "Figure":
    """Draw a panel for each module, a line for each state of the model."""
    columns = min(2, len(spec.modules))
    figure, axes = style.grid(-(-len(spec.modules) // columns), columns, 3.4, 2.3)
    flat = [ax for row in axes for ax in row]
    handles = {}
    for ax, module in zip(flat, spec.modules, strict=False):
        labels = [label for label in found if module in found[label]]
        drawn = outlines([found[label][module] for label in labels], spec.share) if labels else []
        for number, (label, outline) in enumerate(zip(labels, drawn, strict=True)):
            look = style.look(number) | {"marker": None, "linewidth": 1.6 if number == 0 else 1.1}
            del look["markeredgecolor"], look["markeredgewidth"]
            middle = (outline.edges[1:] + outline.edges[:-1]) / 2
            (handles[label],) = ax.plot(middle, outline.heights, **look)
        if not labels:
            ax.tick_params(labelbottom=False, labelleft=False)
            ax.text(0.5, 0.5, "weights not at hand", transform=ax.transAxes, ha="center", va="center")
        count = f" ({drawn[0].count:,} weights)" if drawn else ""
        ax.set_title(MODULES[module] + count)
        ax.set_ylim(bottom=0)
    for number, ax in enumerate(flat):
        if number >= len(spec.modules):
            ax.set_axis_off()
        ax.set_ylabel("density (per unit weight)" if number % columns == 0 else "")
        ax.set_xlabel("weight (no unit)" if number + columns >= len(spec.modules) else "")
    style.legend(figure, list(handles.values()), list(handles))
    left_out = f"The outermost {100 * (1 - spec.share):.2g} % of the weights before training are not drawn."
    style.write_notes(figure, [*([left_out] if found else []), *notes])
    return figure
