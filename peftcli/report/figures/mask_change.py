"""The task's training loss, with the steps marked at which the strategy chose its mask anew (effectiveness, Figure 3).

On a logarithmic axis: how far the loss goes back at a change is seen there, when it is near 0 before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from peftcli.errors import UserError
from peftcli.report import masks, printed
from peftcli.report.figures import style, training_curves
from peftcli.report.figures.spec import RATE, BestOrRate, FigureSpec, draws
from peftcli.report.figures.study import Study
from peftcli.report.figures.training_curves import Curve, medians
from peftcli.report.table import layout

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 60  # marks; more would hide the curve
COLUMNS = ("step", "loss")  # of a file with the paper's curve
THEIRS: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": style.LINES[1], "zorder": 3}


class MaskChange(FigureSpec):
    """The training loss with the steps marked at which the strategy chose its mask anew."""

    kind: Literal["mask_change"] = Field(description="The training loss, with the steps at which the mask changes.")
    learning_rate: BestOrRate = Field("best", description=RATE)
    published: str | None = Field(
        None, description="The CSV file with the paper's curve, beside the recipe: step, loss."
    )


@dataclass(frozen=True)
class Panel:
    """One group: its curves, and after how many updates the mask was opened (anything may train) and chosen."""

    title: str
    curves: tuple[Curve, ...]
    opened: tuple[int, ...]
    chosen: tuple[int, ...]
    expected: int
    unit: str
    theirs: tuple[tuple[float, ...], ...] = ()


def panels(spec: MaskChange, study: Study) -> list[Panel]:
    """Collect the curves of strategies that change their mask. Raises UserError where none does."""
    changing = []
    file = spec.published and study.recipe.path.parent / spec.published
    theirs = tuple(printed.read(file, COLUMNS)) if file else ()
    for group in study.groups(spec.tasks, spec.strategies, spec.learning_rate):
        bodies = [(outcome, study.body(outcome)) for outcome in group.outcomes]
        curves = [training_curves.read(outcome, body["training"], "loss", "step") for outcome, body in bodies if body]
        lines = tuple(curve for curve in curves if curve is not None)
        # Marks end where the longest curve ends, not where the plan would have.
        last = int(max((line.steps[-1] for line in lines), default=0))
        changes = masks.changes(group.outcomes[0].run.options, last)
        if changes is not None:
            title = f"{group.label} on {group.column.label} (learning rate {layout.rate_text(group.learning_rate)})"
            unit = training_curves.loss_unit(group)
            changing.append(Panel(title, lines, *changes, len(group.outcomes), unit, theirs))
    if not changing:
        raise UserError(f"figure {spec.name}: no strategy here changes its mask (options again, burn_in or every)")
    return changing


@draws(MaskChange, "the training loss as the mask changes", panels)
def draw(spec: MaskChange, study: Study) -> "tuple[Figure, str]":
    """Draw the figure, and say in words what it shows."""
    drawn = panels(spec, study)
    words = [f"{p.title}: mask chosen {len(p.chosen)} times; {len(p.curves)} of {p.expected} curves." for p in drawn]
    theirs = [f"The paper's curve has {len(p.theirs)} points." for p in drawn[:1] if p.theirs]
    return paint(drawn), " ".join(["The task's training loss against steps.", *words, *theirs, *notes(drawn)])


def notes(drawn: Sequence[Panel]) -> list[str]:
    """Say which runs are missing or ended early, and where there are too many changes to mark."""
    fewer = [f"{p.title}: {len(p.curves)} of {p.expected}" for p in drawn if len(p.curves) < p.expected]
    early = [f"{p.title}: seed {line.seed} {line.ended}" for p in drawn for line in p.curves if line.ended]
    mixed = [f"{p.title}: seed {line.seed}" for p in drawn for line in p.curves if line.with_penalty]
    many = [f"{p.title}: {len(p.chosen):,} times" for p in drawn if len(p.chosen) > MOST]
    said = {
        "Fewer curves than runs": fewer,
        "Ended early": early,
        training_curves.WITH_PENALTY: mixed,
        "Mask changed too often to be marked": many,
    }
    return [note for head, items in said.items() if (note := style.listed(head, items))]


def paint(drawn: Sequence[Panel]) -> "Figure":
    """Draw a panel for each group, every seed in blue, the median in black where there are several, the paper's dashed."""
    from matplotlib.lines import Line2D

    # Inches: wide and flat, since thousands of steps go across.
    figure, axes = style.grid(len(drawn), 1, 6.4, 3.3)
    for (ax,), panel in zip(axes, drawn, strict=True):
        ax.set_title(style.escape(panel.title))
        ax.grid(False, axis="x")
        # A loss of exactly 0 has no logarithm, and no place.
        ax.set_yscale("log", nonpositive="mask")
        if panel.theirs:
            ax.plot(*zip(*panel.theirs, strict=True), **THEIRS)
        for line in panel.curves:
            ax.plot(line.steps, line.values, color="#0072b2", linewidth=0.9, alpha=0.8)
        if len(panel.curves) > 1:
            ax.plot(*medians(panel.curves), color="black", linewidth=1.4)
        if not panel.curves:
            ax.text(0.5, 0.5, "no run yet", transform=ax.transAxes, ha="center", va="center")
        if len(panel.chosen) <= MOST:
            for marked, line_style in ((panel.opened, style.LINES[2]), (panel.chosen, style.LINES[1])):
                for step in marked:
                    ax.axvline(step, color="#d55e00", linewidth=0.9, linestyle=line_style, zorder=1)
        ax.set_ylabel(f"the task's training loss ({panel.unit})")
        ax.set_xlabel("training step (updates)")
    entries = {
        "printed in the paper": Line2D([], [], **THEIRS),
        "loss, each seed": Line2D([], [], color="#0072b2", linewidth=0.9),
        "median": Line2D([], [], color="black", linewidth=1.4),
        "mask opened": Line2D([], [], color="#d55e00", linewidth=0.9, linestyle=style.LINES[2]),
        "mask chosen": Line2D([], [], color="#d55e00", linewidth=0.9, linestyle=style.LINES[1]),
    }
    if not any(panel.theirs for panel in drawn):
        del entries["printed in the paper"]
    if not any(len(panel.curves) > 1 for panel in drawn):
        del entries["median"]
    if not any(panel.opened for panel in drawn):
        del entries["mask opened"]
    style.legend(figure, list(entries.values()), list(entries))
    style.write_notes(figure, notes(drawn))
    return figure
