"""A process's reports reach its parent, and never hold the process up."""

import json
import os

from peftcli.launchers.pipes import Pipes, reporter
from peftcli.runner import display, progress
from peftcli.runner.display import Status


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
