"""Panels of lines: marks with fewer runs hollow and counted, none a cross, lines aside of each other, levels across."""

from typing import TYPE_CHECKING, Literal

import pytest

from peftcli.report.figures import lines, style
from peftcli.report.figures.lines import Across, Line, Mark, Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def panel() -> Panel:
    ours = Line("ours", (Mark(1, 80.0, 2.0, 4, 4), Mark(2, 82.0, None, 2, 4), Mark(3, None, None, 0, 4)), 0)
    other = Line("other", (Mark(1, 70.0, None, 4, 4),), 1)
    printed = Line("printed", (Mark(1, 81.0), Mark(3, None)), 0, "printed")
    return Panel("RTE", "accuracy (%)", (ours, other, printed, Line("full", (Mark(0, 90.0, 1.5),), 2, "level")))


def drawn(scale: Literal["linear", "log"]) -> "Figure":
    with style.settings():
        return lines.paint([panel()], Across("layer", ((1, "1"), (2, "2"), (3, "3")), scale), 1, [])


def test_marks_stand_where_their_numbers_are_and_what_lacks_runs_shows() -> None:
    (ax,) = drawn("linear").axes
    points = {tuple(map(tuple, line.get_xydata())) for line in ax.lines if line.get_marker() not in ("None", "")}
    # Two lines of ours, 0.08 apart; the printed values exactly on their place.
    assert ((0.96, 80.0), (1.96, 82.0)) in points
    assert ((1.04, 70.0),) in points
    assert ((1.0, 81.0),) in points
    assert ((1.96, 82.0),) in points  # hollow, over the filled one
    assert [text.get_text() for text in ax.texts] == ["2/4"]
    assert ((2.96, 0.03),) in points  # the cross below; a printed value that is missing has none
    assert [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "x" and len(line.get_xdata())] == [
        [[2.96, 0.03]]
    ]
    ((bar,),) = [container.lines[2] for container in ax.containers]
    assert bar.get_segments()[0].tolist() == [[0.96, 78.0], [0.96, 82.0]]
    (level,) = [line for line in ax.lines if list(line.get_ydata()) == [90.0, 90.0]]
    assert level.get_color() == "black"
    (band,) = ax.patches
    assert (band.get_y(), band.get_height()) == (88.5, 3.0)


def test_on_a_logarithmic_axis_lines_stand_a_twentieth_apart_and_the_legend_names_all() -> None:
    figure = drawn("log")
    (ax,) = figure.axes
    first, second = ax.lines[0], next(line for line in ax.lines if list(line.get_ydata()) == [70.0])
    assert second.get_xdata()[0] / first.get_xdata()[0] == pytest.approx(1.05)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "3"]
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(named) == ["fewer runs than planned", "full", "no value", "other", "ours", "printed"]
