"""Densities of each module's weights before and after training (transferability, Figures 1 and 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from peftcli import records
from peftcli.records import beside
from peftcli.report.figures import style, weights
from peftcli.report.figures.spec import FigureSpec, draws
from peftcli.report.figures.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy import ndarray

MOST, FEWEST = 160, 30  # bins
Module = Literal["multihead", "feedforward", "layernorm_attention", "layernorm_ffn"]


class Density(FigureSpec):
    """Densities of each module's weights before and after training."""

    kind: Literal["density"] = Field(description="Densities of weights before and after training.")
    model: str | None = Field(None, description="The model before training; the recipe's by default.")
    after: dict[str, str] = Field(
        {},
        description="Folders or files of weights after training, by label; by default what the runs of `strategies` "
        "(full, where the recipe has it) saved beside their records.",
    )
    modules: Annotated[list[Module], Field(min_length=1)] = Field(
        ["multihead", "feedforward", "layernorm_attention", "layernorm_ffn"],
        description="The modules drawn, a panel for each.",
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.998, description="The fraction of the weights before training that is drawn, the innermost."
    )


@dataclass(frozen=True)
class Outline:
    """One density: `edges` [bins + 1] of weights, `heights` [bins] per unit; `kept` of `count` weights lie within."""

    edges: "ndarray"
    heights: "ndarray"
    count: int
    kept: int


def saved(spec: Density, study: Study) -> dict[str, Path]:
    """Return where the weights after training are: where the figure says, else beside the first seed's record with some."""
    if spec.after:
        return {label: Path(path).expanduser() for label, path in spec.after.items()}
    names = spec.strategies or [name for name, _ in study.recipe.strategies if name == "full"]
    by_label = {}
    for group in study.groups(spec.tasks, names, "best") if names else ():
        files = [beside.delta(records.path(study.output, outcome.run)) for outcome in group.outcomes]
        by_label[f"{group.label} on {group.column.label}"] = next((file for file in files if file.exists()), files[0])
    return by_label


@draws(Density, "densities of weights", saved)
def draw(spec: Density, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows. Raises UserError for weights that cannot be read."""
    states, remarks = collect(spec, spec.model or study.recipe.model, saved(spec, study))
    head = f"Densities of the weights of {spec.model or study.recipe.model}: {', '.join(states) or 'none at hand'}."
    return paint(spec, states, remarks), " ".join([head, *remarks])


def outlines(sources: "Sequence[ndarray]", share: float) -> list[Outline]:
    """Histogram weights over one range: what holds the middle `share` of the first source; all weights, none sampled.

    Heights are counts over (all weights times bin width), so what lies outside the range is missing from the area.
    """
    import numpy as np

    low, high = np.quantile(sources[0], [(1 - share) / 2, (1 + share) / 2])
    if low == high:
        low, high = low - 0.5, high + 0.5  # LayerNorm weights that start all alike
    # The square root of the count, a common rule for histograms, within bounds.
    bins = min(MOST, max(FEWEST, int(len(sources[0]) ** 0.5)))  # few weights in narrow bins show nothing but chance
    drawn = []
    for values in sources:
        counts, edges = np.histogram(values, bins=bins, range=(low, high))
        drawn.append(Outline(edges, counts / (len(values) * np.diff(edges)), len(values), int(counts.sum())))
    return drawn


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
    states = {"before": weights.by_module(tensors, anatomy, spec.modules)}
    notes = []
    for label, file in after.items():
        # A figure without a delta is drawn with what there is, and says what is missing.
        if not file.exists():
            notes.append(f"After {label}: no saved weights at {file.name} (train with --save-delta).")
            continue
        moved = weights.moved(file, tensors)
        if not moved:
            notes.append(f"After {label}: {file.name} has moved none of these modules' weights.")
            continue
        states[f"after {label}"] = weights.by_module(tensors | moved, anatomy, spec.modules)
    return states, notes


def paint(spec: Density, states: "Mapping[str, Mapping[str, ndarray]]", notes: Sequence[str]) -> "Figure":
    """Draw a panel for each module, a line for each state of the model."""
    columns = min(2, len(spec.modules))
    # Inches: two panels side by side fill a page of 7.
    figure, axes = style.grid(-(-len(spec.modules) // columns), columns, 3.4, 2.3)
    flat = [ax for row in axes for ax in row]
    handles = {}
    for ax, module in zip(flat, spec.modules, strict=False):
        labels = [label for label in states if module in states[label]]
        drawn = outlines([states[label][module] for label in labels], spec.share) if labels else []
        for number, (label, outline) in enumerate(zip(labels, drawn, strict=True)):
            look = style.look(number) | {"marker": None, "linewidth": 1.6 if number == 0 else 1.1}
            # A line of bins has no points to mark.
            del look["markeredgecolor"], look["markeredgewidth"]
            middle = (outline.edges[1:] + outline.edges[:-1]) / 2
            (handles[label],) = ax.plot(middle, outline.heights, **look)
        if not labels:
            ax.tick_params(labelbottom=False, labelleft=False)
            ax.text(0.5, 0.5, "weights not at hand", transform=ax.transAxes, ha="center", va="center")
        count = f" ({drawn[0].count:,} weights)" if drawn else ""
        ax.set_title(style.MODULES[module] + count)
        ax.set_ylim(bottom=0)  # areas under the lines are what is compared
    for number, ax in enumerate(flat):
        if number >= len(spec.modules):
            ax.set_axis_off()
        ax.set_ylabel("density (per unit weight)" if number % columns == 0 else "")
        ax.set_xlabel("weight (no unit)" if number + columns >= len(spec.modules) else "")
    style.legend(figure, list(handles.values()), list(handles))
    left_out = f"The outermost {100 * (1 - spec.share):.2g} % of the weights before training are not drawn."
    style.write_notes(figure, [*([left_out] if states else []), *notes])
    return figure
