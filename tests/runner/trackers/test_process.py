"""A tracker's process hands each point on once, whichever process told it, and ends what did not end by itself."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from peftcli.runner.trackers import process, story
from peftcli.runner.trackers.news import Counts, News
from peftcli.runner.trackers.story import End
from tests import tiny

ENDED = End("completed", 3, {})


def news(seed: int, before: int, upto: int, end: End | None = None) -> bytes:
    """A line about a run's losses at the steps after `before`."""
    points = [(step, {"train/loss": float(step)}) for step in range(before + 1, upto + 1)]
    told = story.story(tiny.run("layernorm", seed=seed), "demo", Path("out"))
    return News(told, Counts(before, 0), points, [], end).line()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A tracker called `noted`, and what it is asked to do, by the run's seed."""
    noted: list[tuple[Any, ...]] = []

    class Noted:
        anew = False

        def __init__(self, told: story.Story) -> None:
            self.seed = told.settings["seed"]
            noted.append((self.seed, "start"))

        def write(self, points: Any) -> None:
            noted.append((self.seed, [step for step, _ in points]))

        def end(self, end: End | None) -> None:
            noted.append((self.seed, end and end.status))

    module = ModuleType("noted")
    module.start = Noted  # type: ignore[attr-defined]
    module.finish = lambda: noted.append(("finished",))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "peftcli.runner.trackers.noted", module)
    noted_class: Any = Noted
    noted.append((noted_class,))
    return noted


def test_runs_are_open_side_by_side_until_they_end(calls, tmp_path):
    process.follow("noted", tmp_path, [news(0, 0, 2), news(1, 0, 1), news(0, 2, 3, ENDED), news(1, 1, 2)])
    assert calls[1:] == [
        (0, "start"), (0, [1, 2]), (1, "start"), (1, [1]), (0, [3]), (0, "completed"), (1, [2]), (1, None), ("finished",)
    ]  # fmt: skip


def test_what_is_told_again_is_not_written_again(calls, tmp_path):
    process.follow("noted", tmp_path, [news(0, 0, 2)])
    # A smaller cohort tells from the start, and so does another process that goes on from an earlier checkpoint.
    process.follow("noted", tmp_path, [news(0, 0, 1), news(0, 1, 3), news(0, 0, 3, ENDED)])
    one, other = [(0, "start"), (0, [1, 2]), (0, None)], [(0, "start"), (0, [3]), (0, "completed")]
    assert calls[1:] == [*one, ("finished",), *other, ("finished",)]


def test_what_is_written_anew_is_written_from_the_start(calls, tmp_path):
    calls[0][0].anew = True
    process.follow("noted", tmp_path, [news(0, 0, 2)])
    process.follow("noted", tmp_path, [news(0, 0, 3, ENDED)])
    assert calls[5:] == [(0, "start"), (0, [1, 2, 3]), (0, "completed"), ("finished",)]
    assert list(tmp_path.iterdir()) == []


def test_the_first_line_of_an_error_is_its_whole_output(tmp_path, environment):
    (tmp_path / story.FOLDER).write_text("in the way")
    told = story.story(tiny.run("layernorm"), "demo", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", process.__name__, "tensorboard", str(tmp_path)],
        input=News(told, Counts(), [(1, {"train/loss": 1.0})], []).line(),
        env=environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.decode() == f"[Errno 20] Not a directory: '{tmp_path}/.tensorboard/tiny'"
