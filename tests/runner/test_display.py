"""What is shown of a sweep: what processes tell, how the time left is guessed, and how often anything is drawn."""

import io
import json
import os
import pty
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.text import Text

from peftcli.experiment import plan
from peftcli.experiment.durations import GUESSED, in_words
from peftcli.experiment.recipe import load
from peftcli.launchers import assignments
from peftcli.launchers.pipes import Pipes, reporter
from peftcli.runner import display, progress
from peftcli.runner.display import Board, Screen, Status, screen, seconds_left
from peftcli.runner.work import WorkUnit
from tests import folders, written_records
from tests.runner.test_tracking import assert_same

TRAINING = {"epochs": 2, "batch_size": 8, "max_train_samples": 64, "max_length": 32}


class Clock:
    """A clock that is set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("time.monotonic", lambda: self.now)


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(width: int = 100) -> Console:
    return Console(file=Terminal(), force_terminal=True, width=width)


def trained(step: int, total: int, *losses: float) -> tuple[SimpleNamespace, SimpleNamespace]:
    """A cohort and its state after a step."""
    histories = [SimpleNamespace(training=[{"loss": loss}]) for loss in losses]
    return SimpleNamespace(total=total), SimpleNamespace(step=step, histories=histories)


def test_a_process_tells_its_cohort_and_counts_what_ended(monkeypatch):
    clock, told = Clock(monkeypatch), []
    runs = written_records.runs(written_records.small())[:4]
    costs = {run.id: cost for run, cost in zip(runs, (3.0, 3.0, 6.0, 2.0), strict=True)}
    unit = WorkUnit((tuple(runs[:2]), (runs[2],), (runs[3],)), frozenset(run.id for run in runs[:3]))
    own = progress.start(unit, lambda cohort: sum(costs[run.id] for run in cohort), told.append, 1.0)
    own.begin(runs[:2])
    assert told.pop() == Status(f"{runs[0].describe()} and 1 more", runs=3, left=12.0)
    for step in range(1, 11):
        clock.now += 0.5
        own.watch(*trained(step, 20, 0.5, 0.25))
    assert [found.step for found in told] == [2, 4, 6, 8, 10]
    last = told.pop()
    assert (last.steps, last.losses, last.rate, last.seconds) == (20, (0.25, 0.5), 2.0, 5.0)
    assert (last.worked, last.left) == (3.0, 9.0)
    own.end(["completed", "diverged"])
    assert told[-1] == Status("", runs=3, done=1, failed=1, worked=3.0, left=6.0, seconds=5.0)
    own.begin((runs[2],))
    own.watch(*trained(16, 20, 0.5))  # gone on with from a checkpoint: only its last quarter is done here
    clock.now += 1
    own.watch(*trained(20, 20, 0.5))
    assert (told[-1].worked, told[-1].left) == (3.0 + 6.0 * 5 / 20, 0.0)


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
def test_a_terminal_is_drawn_on_at_most_four_times_a_second(width, monkeypatch):
    clock, console, made_screens = Clock(monkeypatch), terminal(width), []

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


def test_on_no_terminal_there_is_a_plain_line_a_minute(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    with Board() as board:
        for second in range(300):
            clock.now += 1
            board.show(lambda at=second: Screen(("step",), ((str(at + 1),),), "some left"))
    assert capsys.readouterr().err.splitlines() == [f"some left | step {minute * 60}" for minute in range(1, 6)]


def test_a_pipe_passes_the_last_status_on_and_never_blocks():
    pipes, said = Pipes(), []
    pipe, messages = pipes.open_status("1", Status(runs=3)), pipes.open_lines(said.append)
    report = reporter(pipe)
    pipes.listen(0)
    assert pipes.statuses == {"1": Status(runs=3)}
    for step in range(3000):  # far more than a pipe holds, and nobody reads
        report(Status("demo é layernorm", step, 3000, (0.1, 0.2), 1.5, 3))
    os.write(messages, b"first\nsecond with no end")
    for descriptor in (pipe, messages):
        os.close(descriptor)
    pipes.close()
    found = pipes.statuses["1"]
    assert found == Status("demo é layernorm", found.step, 3000, (0.1, 0.2), 1.5, 3)
    assert 100 < found.step < 2999
    assert said == [b"first", b"second with no end"]


def test_a_telling_is_short_enough_to_be_written_whole():
    long = Status(
        "é" * (progress.LONGEST + 20), 10**9, 10**9, (1e-300, 1e300), 1e-300, 10**6, 10**6, 10**6, 1e300, 1e300
    )
    assert len(display.encode(long)) < 4096
    assert display.decode(display.encode(long)) == long
    assert json.loads(display.encode(Status()))["losses"] is None


@pytest.fixture(scope="module")
def recipe(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"strategies": ["layernorm", "bitfit"], "seeds": [0], "learning_rates": [1e-3], "training": TRAINING}
    return folders.recipe(tmp_path_factory.mktemp("live") / "r.yaml", tiny_folder, **changes)


def on_terminal(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run the command line with a terminal as its stderr; gives its exit code and all that was drawn there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "peftcli", *arguments]
    process = subprocess.Popen(command, env={**environment, "COLUMNS": "100", "TERM": "xterm-256color"}, stderr=theirs)
    os.close(theirs)
    drawn = b""
    while part := _read(ours):
        drawn += part
    os.close(ours)
    return process.wait(60), drawn.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.parametrize("options", [[], ["--launcher", "accelerate", "--processes", "2"]])
def test_a_sweep_on_a_terminal_draws_what_it_does_and_tracks_every_process_s_runs(
    options, recipe, environment, tmp_path
):
    given = [str(recipe), "--output", str(tmp_path / "out"), "--cohort", "1", "--track", "tensorboard", *options]
    code, drawn = on_terminal({**environment, "NO_COLOR": "1"}, "sweep", *given)
    assert code == 0
    for word in ("process", "running", "steps/s", "demo ", "0 failed", "2 of 2 runs completed"):
        assert word in drawn
    assert "\x1b[3" not in drawn  # no colour
    rows = {line.split()[0] for line in drawn.replace("\r", "\n").splitlines() if "demo " in line and "/16" in line}
    assert len(rows) >= 1
    for planned in plan.expand(load(recipe)):
        assert_same(tmp_path / "out", planned.run)


def test_costs_of_a_real_share_are_positive(recipe):
    loaded = load(recipe)
    runs = [planned.run for planned in plan.expand(loaded)]
    own = progress.start(
        WorkUnit((tuple(runs),), frozenset(run.id for run in runs)),
        lambda cohort: assignments.cost(loaded.model, tuple(cohort)),
        lambda told: None,
        display.LIVE_SECONDS,
    )
    assert own.status.left == pytest.approx(sum(assignments.cost(loaded.model, (run,)) for run in runs))
    assert own.status.left > 0
