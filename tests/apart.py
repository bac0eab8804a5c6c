"""A function run in a process of its own: what it changes of torch for good, or of the machine, ends with it."""

import functools
import multiprocessing
import pickle
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import pytest
import torch

Result = TypeVar("Result")
needs_fork = pytest.mark.skipif(
    sys.platform != "linux", reason="processes with torch loaded fork safely on Linux alone"
)


def run_apart(function: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
    """What a function returns, computed in a fork of this process; it must be something that pickles.

    The fork has everything that is loaded here, so it starts at once. Raises AssertionError with the traceback of what went wrong
    there; `pytest.skip` there skips here.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=_answer, args=(there, functools.partial(function, *arguments, **keywords))
    )
    child.start()
    there.close()
    try:
        outcome, value = pickle.loads(here.recv_bytes())
    except EOFError:
        child.join()
        outcome, value = "failed", f"the process ended without an answer, exit code {child.exitcode}"
    finally:  # also where this test's time is up while it waits
        child.kill()
        child.join()
    if outcome == "skipped":
        pytest.skip(value)
    assert outcome == "returned", value
    return value


def _answer(there: Connection, function: Callable[[], Any]) -> None:
    torch.set_num_threads(1)  # the threads of the process that was forked are not here
    outcome: tuple[str, Any]
    try:
        outcome = "returned", function()
    except pytest.skip.Exception as skipped:
        outcome = "skipped", str(skipped)
    except BaseException:
        outcome = "failed", traceback.format_exc()
    # As plain bytes: a tensor sent as an object stays in the memory of the process that sends it, which ends.
    there.send_bytes(pickle.dumps(outcome))
