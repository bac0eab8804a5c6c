"""Names beside points: none over another or a point, all inside, near before far, and the rest returned."""

import itertools
import math
from typing import TYPE_CHECKING

import numpy
import pytest
from matplotlib.text import Text

from peftcli.report.figures import labels, style
from peftcli.report.figures.labels import AROUND, Box, Label, Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation


def drawn(points: list[Label]) -> "tuple[Figure, list[Annotation], list[str]]":
    """Draw the points and place their names; returns the figure, what was written, and what was not."""
    with style.settings():
        figure, ((ax,),) = style.grid(1, 1, 6.6, 4.4)
        ax.scatter([p.x for p in points], [p.y for p in points])
        without = labels.place(figure, {ax: points})
        return figure, list(ax.texts), without  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [10, 25, 60])
def test_no_name_lies_over_another_or_over_a_point(count: int) -> None:
    random = numpy.random.default_rng(count)
    points = [Label(*random.normal(size=2), f"strategy {at}") for at in range(count)]
    figure, texts, without = drawn(points)
    assert len(texts) + len(without) == count
    assert len(texts) >= min(count, 20)
    with style.settings():
        style.encode(figure)  # laid out again, as it is written
        figure.draw_without_rendering()
    (ax,) = figure.axes
    boxes = [Text.get_window_extent(text).frozen() for text in texts]  # without the line to its point
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)
    spots = ax.transData.transform([(p.x, p.y) for p in points])
    for box in boxes:
        assert ax.bbox.x0 <= box.x0 < box.x1 <= ax.bbox.x1
        assert ax.bbox.y0 <= box.y0 < box.y1 <= ax.bbox.y1
        assert not any(box.contains(*spot) for spot in spots)


def test_a_lone_name_is_beside_its_point_and_a_far_one_has_a_line() -> None:
    _, (text,), without = drawn([Label(0, 0, "alone")])
    assert without == []
    assert text.arrow_patch is None
    assert text.xy == (0, 0)
    _, texts, _ = drawn([Label(0, 0, f"one of many {at}") for at in range(20)])
    assert texts[0].arrow_patch is None
    assert texts[-1].arrow_patch is not None


def test_first_names_come_first_and_the_rest_is_returned() -> None:
    points = [Label(0.0, 0.0, f"{'name ' * 8}{at}") for at in range(60)]
    _, texts, without = drawn(points)
    assert texts[0].get_text() == points[0].text
    assert 0 < len(texts) < 60
    assert without == [p.text for p in points if p.text not in {text.get_text() for text in texts}]


def test_a_place_is_free_of_names_points_and_what_lies_on_the_way() -> None:
    page = Page(Box(0, 0, 100, 100), ((10.0, 50.0), (30.0, 50.0)))
    spot = page.points[0]
    assert page.is_free(Box(15, 55, 40, 63), spot)
    assert not page.is_free(Box(15, 45, 40, 53), spot)  # over the other point
    assert not page.is_free(Box(45, 46, 70, 54), spot)  # behind the other point
    assert not page.is_free(Box(90, 60, 101, 68), spot)  # out of the panel
    page.names.append(Box(14, 56, 30, 62))
    assert not page.is_free(Box(15, 55, 40, 63), spot)
    assert not page.is_free(Box(18, 70, 60, 78), spot)  # its line would cross the name


def test_candidates_keep_their_distance_and_come_near_before_far() -> None:
    boxes = list(labels.candidates((50.0, 50.0), 40.0, 8.0))
    assert len(boxes) == len(labels.DISTANCES) * len(labels.DIRECTIONS)
    for box in boxes:
        assert (box.right - box.left, box.top - box.bottom) == pytest.approx((40.0, 8.0))
        assert math.dist(box.nearest((50.0, 50.0)), (50.0, 50.0)) > AROUND / 2
    # Below and to the right, clear of stairs that go on to the right.
    assert boxes[0].top < 50.0 < boxes[0].left
