"""How a Pareto figure is drawn: bars where their numbers are, stairs, scales, looks or names."""

from typing import TYPE_CHECKING

import pytest

from peftcli.report.figures import pareto_panels, style
from peftcli.report.figures.pareto_panels import Panel, Step
from peftcli.report.figures.trade_offs import TradeOff
from peftcli.report.statistics import intervals
from peftcli.report.statistics.contrast import Sample

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def point(name: str, cost: float, score: float, panel: str = "RTE", is_printed: bool = False) -> TradeOff:
    seconds = Sample.of({0: cost, 1: 1.1 * cost, 2: 0.9 * cost})
    return TradeOff(name, panel, Sample(score, 1.0, 5), seconds, is_printed)


def panel(count: int, title: str = "RTE") -> Panel:
    points = tuple(point(f"strategy {at}", 10.0 ** (at % 7), 50.0 + at, title) for at in range(count))
    return Panel(title, "accuracy (%)", points, (Step(points[0], 10.0), Step(points[1], None)))


def drawn(*panels: Panel, notes: tuple[str, ...] = ()) -> "Figure":
    with style.settings():
        return pareto_panels.paint("seconds", panels, notes)


def test_bars_and_stairs_stand_where_their_numbers_are() -> None:
    one = panel(2)
    (ax,) = drawn(one).axes
    low, high = intervals.student(Sample(50.0, 1.0, 5)) or (0.0, 0.0)
    lines = [line.get_xydata().tolist() for line in ax.lines]
    assert [[1.0, pytest.approx(low)], [1.0, pytest.approx(high)]] in lines
    cost = intervals.student(point("", 10.0, 0.0).cost or Sample(0.0, None, 0))
    assert cost is not None
    assert [[pytest.approx(cost[0]), 51.0], [pytest.approx(cost[1]), 51.0]] in lines
    right = ax.get_xlim()[1]
    assert [[1.0, 50.0], [10.0, 50.0], [10.0, 51.0]] in lines
    assert [[10.0, 51.0], [right, 51.0]] in lines


def test_stairs_break_off_where_something_better_is_shown() -> None:
    points = tuple(point(f"{at}", 10.0**at, 50.0 + at) for at in range(4))
    broken = (Step(points[0], 10.0), Step(points[2], 1000.0))
    (ax,) = drawn(Panel("RTE", "", points, broken)).axes
    lines = [line.get_xydata().tolist() for line in ax.lines]
    assert [[1.0, 50.0], [10.0, 50.0]] in lines  # no riser: at 10 it is not the next step that is better
    assert [[100.0, 52.0], [1000.0, 52.0]] in lines


def test_a_bar_that_a_logarithmic_axis_cannot_show_ends_at_a_tenth() -> None:
    wild = TradeOff("wild", "RTE", Sample(50.0, 1.0, 5), Sample.of({0: 1.0, 1: 50.0, 2: 100.0}))
    (ax,) = drawn(Panel("RTE", "", (wild, point("b", 1e6, 60.0)), ())).axes
    assert ax.get_xscale() == "log"
    ends = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == 50.0]
    assert any(xs[0] == pytest.approx(sum((1.0, 50.0, 100.0)) / 30) for xs in ends)


@pytest.mark.parametrize(
    ("costs", "wanted"),
    [((10, 20, 90), "linear"), ((10, 20, 100), "log"), ((0, 20, 200), "symlog"), ((0, 20), "linear"), ((0,), "linear")],
)
def test_the_axis_is_logarithmic_where_costs_span_a_factor_of_ten(costs: tuple[float, ...], wanted: str) -> None:
    with style.settings():
        _, ((ax,),) = style.grid(1, 1, 3, 3)
        pareto_panels.scale(ax, "parameters", costs)
    assert ax.get_xscale() == wanted


def test_no_cost_at_all_has_its_place_left_of_the_others() -> None:
    free = TradeOff("free", "RTE", Sample(40.0, 1.0, 5), Sample(0.0, None, 0))
    (ax,) = drawn(Panel("RTE", "", (free, point("b", 100.0, 60.0), point("c", 1e4, 61.0)), ())).axes
    words = [tick.get_text() for tick in ax.get_xticklabels()]
    assert words == ["0", "100", "1,000", "10,000", "100,000"]
    assert ax.get_xlim()[0] < 0 < 100 < ax.get_xlim()[1]


def test_one_panel_has_names_and_several_a_legend() -> None:
    (ax,) = (alone := drawn(panel(10))).axes
    assert sorted(text.get_text() for text in ax.texts) == sorted(f"strategy {at}" for at in range(10))
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["on the frontier"]
    both = drawn(panel(10), panel(10, "CoLA"))
    assert not any(ax.texts for ax in both.axes)
    named = {text.get_text() for text in both.legends[0].get_texts()}
    assert named == {*(f"strategy {at}" for at in range(10)), "on the frontier"}


def test_of_many_points_the_frontier_and_the_extremes_are_named() -> None:
    one = panel(63)
    labels = pareto_panels.named(one)
    assert len(labels) == 63
    # On the frontier 0 and 1; lowest 0, highest 62, cheapest 0, dearest the first of the seventh decade.
    assert [label.text for label in labels if label.text] == ["strategy 0", "strategy 1", "strategy 62", "strategy 6"]
    figure = drawn(one, notes=("a note",))
    written = {text.get_text() for text in figure.axes[0].texts}
    (notes,) = [text.get_text() for text in figure.texts]
    assert notes.startswith("a note")
    without = {label.text for label in labels if label.text} - written
    assert written
    assert ("for want of room" in notes) == bool(without)
    assert all(name in notes for name in without)


def test_printed_points_are_hollow_diamonds_with_dotted_stairs() -> None:
    theirs = point("a", 10.0, 60.0, is_printed=True)
    figure = drawn(Panel("RTE", "", (point("a", 9.0, 61.0), theirs), (), (Step(theirs, None),)))
    (ax,) = figure.axes
    (diamond,) = [line for line in ax.lines if line.get_marker() == "D"]
    assert diamond.get_markerfacecolor() == "white"
    (stairs,) = [line for line in ax.lines if line.get_xydata().tolist() == [[10.0, 60.0], [ax.get_xlim()[1], 60.0]]]
    assert stairs.get_color() == "black"
    assert "printed in the paper" in {text.get_text() for text in figure.legends[0].get_texts()}


def test_a_panel_without_a_point_says_so() -> None:
    (ax,) = drawn(Panel("RTE", "accuracy (%)", (), ())).axes
    assert [text.get_text() for text in ax.texts] == ["no point yet"]
