"""A tracker that hangs, fails or dies holds nothing up, and is spoken of once."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from peftcli.runner.trackers import story
from peftcli.runner.trackers.follower import Follower
from peftcli.runner.trackers.news import Counts, News
from tests import tiny

POINTS = [(step, {"train/loss": 0.1}) for step in range(20_000)]  # a pipe holds 64 kB
NEWS = News(story.story(tiny.run("layernorm"), "demo", Path("out")), Counts(), POINTS, [])


def follower(code: str, monkeypatch: pytest.MonkeyPatch) -> Follower:
    """One whose process runs this code."""
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    monkeypatch.setattr(Follower, "_started", lambda self: subprocess.Popen(command, **pipes))
    return Follower("wandb", Path("out"))


def test_one_that_hangs_holds_nothing_up(monkeypatch, capsys):
    hanging = follower("import time; time.sleep(60)", monkeypatch)
    began = time.monotonic()
    for _ in range(3):
        hanging.tell(NEWS)
    assert time.monotonic() - began < 1.0
    hanging.finish()
    hanging.wait(0.2)
    assert 0.2 < time.monotonic() - began < 2.0
    assert capsys.readouterr().err == "--track wandb: not all was taken in time; the records have it\n"
    assert hanging._process is not None
    assert hanging._thread is not None
    hanging._process.kill()
    hanging._thread.join()
    assert capsys.readouterr().err == ""  # it was said already


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print('no login')", "no login"),
        ("import sys; sys.stdin.buffer.readline(); print('disk full')", "disk full"),
        ("import os; os._exit(3)", "its process ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "its process ended with exit code -9"),
    ],
)
def test_one_that_fails_says_so_once(code, said, monkeypatch, capsys):
    failing = follower(code, monkeypatch)
    for _ in range(3):
        failing.tell(NEWS)
    failing.finish()
    failing.wait(60.0)
    failing.tell(NEWS)
    failing.finish()
    failing.wait(60.0)
    assert failing.lost
    assert capsys.readouterr().err == f"--track wandb: {said}; training goes on, untracked there\n"


def test_one_that_takes_all_says_nothing(monkeypatch, capsys):
    quiet = follower("import sys; sys.exit(len(sys.stdin.read().splitlines()) - 2)", monkeypatch)
    quiet.tell(NEWS)
    quiet.tell(NEWS)
    quiet.finish()
    quiet.wait(60.0)
    assert not quiet.lost
    assert capsys.readouterr().err == ""


def test_without_news_no_process_is_started(monkeypatch):
    idle = follower("", monkeypatch)
    idle.finish()
    idle.wait(60.0)
    assert idle._process is None
