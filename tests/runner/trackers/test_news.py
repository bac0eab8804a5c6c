"""News are the same on the other side of a pipe, and of them only that counts which comes after what was told."""

from pathlib import Path

import pytest

from peftcli.runner.trackers import story
from peftcli.runner.trackers.news import Counts, News
from peftcli.runner.trackers.story import End
from tests import tiny

STORY = story.story(tiny.run("layernorm"), "demo", Path("out"))
LOSSES = [(step, {"train/loss": 1 / step}) for step in (3, 4, 5)]
NEWS = News(STORY, Counts(2, 0), LOSSES, [(4, {"validation/accuracy": 0.5})], End("completed", 5, {"cost/steps": 5.0}))


def test_a_line_holds_them_whole():
    line = NEWS.line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    again = News.read(line)
    assert again.line() == line
    assert (again.story, again.before, again.end) == (NEWS.story, NEWS.before, NEWS.end)
    assert News.read(News(STORY, Counts(), [], []).line()).end is None


@pytest.mark.parametrize(
    ("has", "steps"),
    [
        (Counts(), [3, 4, 4, 5]),
        (Counts(2, 0), [3, 4, 4, 5]),
        (Counts(4, 0), [4, 5]),
        (Counts(4, 1), [5]),
        (Counts(9, 9), []),
    ],
)
def test_what_was_told_before_is_left_out(has, steps):
    assert [step for step, _ in NEWS.after(has)] == steps
    assert NEWS.upto == Counts(5, 1)
