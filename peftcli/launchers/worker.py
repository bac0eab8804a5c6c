"""One process of a sweep: `python -m peftcli.launchers.worker ASSIGNMENT RANK SIZE MEETING PIPE`, started by `accelerate`.

Its standard input is its parent: a byte asks it to save and stop; the end of input, that the parent is gone, ends it at
once. The first process of a group reports its status on the pipe, whose number is that of an open file descriptor.
"""

import os
import signal
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path

from peftcli import files, stopping
from peftcli.errors import UserError

STOP = b"s"


def main() -> None:
    """Train an assignment; exits with 0, 2 (bad input), or LOST, REGROUP or STOPPED of `stopping`."""
    assignment, meeting = Path(sys.argv[1]), Path(sys.argv[4])
    rank, size, pipe = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5])
    if rank == 0:
        stopping.install()
    else:
        # The first process of a group saves and ends, and the others end with it: they hear no signals themselves.
        for number in stopping.SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_obey_parent, args=(rank,), daemon=True, name="parent").start()
    try:
        _train(assignment, rank, size, meeting, pipe)
    except UserError as error:
        print(f"peftcli: {error}", file=sys.stderr)
        sys.exit(2)


def _train(file: Path, rank: int, size: int, meeting: Path, pipe: int) -> None:
    from peftcli.engine import parallel
    from peftcli.launchers import assignments, pipes
    from peftcli.runner import progress, sweep

    assignment = assignments.decode(file)
    if size > 1:
        parallel.join(meeting, rank, size, assignment.settings.device)
    report = pipes.reporter(pipe) if rank == 0 else lambda status: None
    cost = partial(assignments.cost, assignment.settings.model)
    following = progress.start(assignment.unit, cost, report, pipes.SECONDS)
    try:
        sweep.train(assignment.unit, assignment.settings, following)
    except sweep.Regroup as broken:
        # Each process of the group that broke writes the same.
        files.write(file, assignments.encode(replace(assignment, unit=broken.left)))
        sys.stderr.flush()
        # Without unwinding, where this process would wait for the others, who wait for it.
        os._exit(stopping.REGROUP)


def _obey_parent(rank: int) -> None:
    """Stop when the parent asks, end when it is gone; runs in a thread of its own."""
    while os.read(0, 1):
        # Where a signal came first, a second one would end the process before it has saved.
        if rank == 0 and not stopping.heard():
            os.kill(os.getpid(), signal.SIGTERM)
    # Without unwinding: the other threads may be in the middle of a long step, and nobody is left to hear of it.
    os._exit(stopping.STOPPED)


if __name__ == "__main__":
    main()
