"""Signals end the program with exit code 75 within five seconds, its progress saved; a second one ends it at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from peftcli import stopping

START = """
import contextlib, hashlib, os, sys, time
from peftcli import stopping
stopping.install()

def say(word):
    print(word, flush=True)

def compute(seconds):
    "Stay in one call that hears no signal, and lets other threads run."
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 100_000_000)
"""


@contextmanager
def started(code: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program until it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", START + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], within: float) -> tuple[int, str]:
    """Give the exit code and what it said on its way out."""
    before = time.monotonic()
    said, errors = process.communicate(timeout=within + 10)
    assert time.monotonic() - before < within
    assert "Traceback" not in errors
    return process.returncode, said


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_where_nothing_would_be_lost_it_ends_at_once(number: int) -> None:
    with started("say('ready'); time.sleep(60)") as process:
        process.send_signal(number)
        assert ended(process, 1.5) == (75, "")


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_work_is_finished_up_to_its_next_step(number: int) -> None:
    code = """
with stopping.deferred(lambda: say('rescued')):
    say('ready')
    while not stopping.asked():
        time.sleep(0.05)
    say('saved')
say('never')
"""
    with started(code) as process:
        process.send_signal(number)
        assert ended(process, 1.5) == (75, "saved\n")


def test_a_step_that_lasts_too_long_is_rescued() -> None:
    with started("with stopping.deferred(lambda: say('rescued')):\n    say('ready')\n    compute(60)") as process:
        process.send_signal(signal.SIGTERM)
        assert ended(process, 5) == (75, "rescued\n")


def test_a_rescue_that_fails_ends_the_program_as_well() -> None:
    with started("with stopping.deferred(lambda: 1 / 0):\n    say('ready')\n    compute(60)") as process:
        process.send_signal(signal.SIGTERM)
        assert ended(process, 5) == (75, "")


def test_loading_that_hears_no_signal_is_ended() -> None:
    with started("say('ready'); compute(60)") as process:
        process.send_signal(signal.SIGTERM)
        assert ended(process, 5) == (75, "")


def test_code_that_swallows_the_stop_is_ended() -> None:
    code = """
say('ready')
with contextlib.suppress(BaseException):
    time.sleep(60)
time.sleep(60)
"""
    with started(code) as process:
        process.send_signal(signal.SIGTERM)
        assert ended(process, 5) == (75, "")


@pytest.mark.parametrize("work", ["time.sleep(60)", "compute(60)"])
def test_a_second_signal_ends_at_once(work: str) -> None:
    with started(
        f"with stopping.deferred(lambda: say('rescued')):\n    say('ready')\n    {work}\n    {work}"
    ) as process:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert ended(process, 1) == (75, "")


def test_after_the_work_a_stop_is_raised_and_signals_end_at_once_again() -> None:
    code = """
with stopping.deferred(lambda: say('rescued')):
    pass
say('ready')
time.sleep(60)
"""
    with started(code) as process:
        process.send_signal(signal.SIGUSR1)
        assert ended(process, 1.5) == (75, "")


def test_a_child_s_signals_are_its_own() -> None:
    code = """
child = os.fork()
if child == 0:
    time.sleep(60)
time.sleep(0.3)
os.kill(child, 15)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
time.sleep(stopping.PATIENCE + 0.5)
say('ready')
sys.exit(3 if code == 75 else 1)
"""
    with started(code) as process:
        assert ended(process, 1.5) == (3, "")


def test_handlers_come_before_anything_slow() -> None:
    code = "import sys; before = set(sys.modules); import peftcli.__main__; print(sorted(set(sys.modules) - before))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert not {"torch", "typer", "pydantic", "numpy", "rich", "yaml"} & set(eval(found.stdout))
    assert "peftcli.cli" not in found.stdout
