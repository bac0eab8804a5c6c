"""What is shown of a sweep: rows and sentences, how the time left is guessed, and how often anything is drawn."""

import io
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from peftcli.cli.sweep import sweep
from peftcli.experiment import plan
from peftcli.experiment.durations import GUESSED, in_words
from peftcli.experiment.recipe import load
from peftcli.runner import display
from peftcli.runner.display import Board, Screen, Status, screen, seconds_left
from tests import folders
from tests.runner.test_tracking import assert_tracked

TRAINING = {"epochs": 2, "batch_size": 8, "max_train_samples": 64, "max_length": 32}


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(width: int = 100) -> Console:
    return Console(file=Terminal(), force_terminal=True, width=width)


def test_the_time_left_follows_the_work_not_the_count_of_runs():
    assert seconds_left([(30.0, 60.0, 10.0)]) == 20
    assert seconds_left([(30.0, 60.0, 10.0), (5.0, 40.0, 10.0)]) == 80  # the slowest decides
    assert seconds_left([(30.0, 0.0, 10.0), (0.0, 12.0, 0.0)]) == 4  # one that starts is as fast as the others
    assert seconds_left([(0.0, 60.0, 10.0)]) is None
    assert seconds_left([(30.0, 60.0, 1.0)]) is None  # too early to tell
    few = [Status(runs=10, done=9, worked=9.0, left=90.0, seconds=9.0)]
    assert screen({"1": few[0]}).summary == "9 done, 0 failed, 1 left; about 90 s left".replace("90 s", "2 min")
    assert [in_words(own, GUESSED) for own in (5, 300, 9000, 864000)] == [
        "about 5 s",
        "about 5 min",
        "about 2.5 h",
        "about 10.0 days",
    ]


def test_a_screen_has_a_row_a_process_and_says_the_same_in_a_line():
    statuses = {
        "1": Status("rte layernorm", 4, 20, (0.5, 0.75), 3.14159, 5, 2, 1, 10.0, 50.0, 10.0),
        "2": Status("rte full", 0, 0, None, None, 5).ended("ended early (killed by signal 9)"),
    }
    found = screen(statuses)
    assert found.rows == (
        ("1", "rte layernorm", "4/20", "0.500 to 0.750", "3.14"),
        ("2", "ended early (killed by signal 9)", "", "", ""),
    )
    assert found.line() == (
        "2 done, 1 failed, 7 left; about 50 s left | process 1, running rte layernorm, step 4/20, "
        "loss 0.500 to 0.750, steps/s 3.14 | process 2, running ended early (killed by signal 9)"
    )


@pytest.mark.parametrize("width", [60, 100])
def test_a_terminal_is_drawn_on_at_most_four_times_a_second(width, clock, monkeypatch):
    console, made_screens = terminal(width), []

    def make() -> Screen:
        made_screens.append(clock.now)
        return screen({"1": Status("a run whose name is longer than there is room for " * 2, 4, 20, (0.5, 0.5), 3.0)})

    with Board(console) as board:
        drawn = []
        monkeypatch.setattr(board._live, "refresh", lambda: drawn.append(clock.now), raising=True)
        for _ in range(10_000):
            clock.now += 0.001
            board.show(make)
        assert len(made_screens) == len(drawn) == 40
        assert min(b - a for a, b in pairwise(drawn)) >= 0.25 - 1e-6


def test_a_table_fits_a_narrow_terminal_and_keeps_its_numbers():
    console = terminal(60)
    found = screen({"1": Status("mnli outliers:n=1024 " * 6, 4000, 36816, (0.5, 0.75), 3.0, 9, 2, 1, 5.0, 5.0, 50.0)})
    console.print(found.table())
    lines = Text.from_ansi(console.file.getvalue()).plain.splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert "4000/36816" in lines[1]
    assert "0.500 to 0.750" in lines[1]
    assert "2 done, 1 failed, 6 left; about 50 s left" in lines[2]


def test_on_no_terminal_there_is_a_plain_line_a_minute(clock, capsys):
    with Board() as board:
        for second in range(300):
            clock.now += 1
            board.show(lambda at=second: Screen(("step",), ((str(at + 1),),), "some left"))
    assert capsys.readouterr().err.splitlines() == [f"some left | step {minute * 60}" for minute in range(1, 6)]


@pytest.fixture(scope="module")
def recipe(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"strategies": ["layernorm", "bitfit"], "seeds": [0], "learning_rates": [1e-3], "training": TRAINING}
    return folders.recipe(tmp_path_factory.mktemp("live") / "r.yaml", tiny_folder, **changes)


ACCELERATE = {"launcher": "accelerate", "processes": 2}


@pytest.mark.parametrize(
    "options", [{}, pytest.param(ACCELERATE, marks=pytest.mark.whole)], ids=["local", "accelerate"]
)
def test_a_sweep_on_a_terminal_draws_what_it_does_and_tracks_every_process_s_runs(
    options, recipe, environment, tmp_path, monkeypatch
):
    for name, value in {**environment, "NO_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(display, "LIVE_SECONDS", 0.0)  # all that is reported is drawn: nothing depends on the clock
    assert sweep(str(recipe), tmp_path / "out", cohort=1, track=["tensorboard"], **options) == 0
    drawn = sys.stderr.getvalue()
    for word in ("process", "running", "steps/s", "demo ", "0 failed", "2 of 2 runs completed"):
        assert word in drawn
    assert "\x1b[3" not in drawn  # no colour
    rows = [line.split() for line in drawn.replace("\r", "\n").splitlines() if "demo " in line]
    assert {row[0] for row in rows} >= {"1"}
    # A process of its own reports the start of a cohort at once, and its steps once a second, which may be too late.
    assert options or any("/16" in cell for row in rows for cell in row)
    for planned in plan.expand(load(recipe)):
        assert_tracked(tmp_path / "out", planned.run)
