"""One process of a sweep: `python -m peftcli.launchers.worker ASSIGNMENT RANK SIZE MEETING PIPE`, started by `accelerate`.

Its standard input is its parent: a byte asks it to save and stop, and its end, that the parent is gone, ends it at once.
The first process of a group tells its status on the pipe, an open descriptor's number.
"""

import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path

from peftcli import stopping
from peftcli.errors import UserError

STOP = b"s"


def main() -> None:
    """Train an assignment; exits with 0, 2 (bad input), 70 (the group came apart) or 75 (stopped, progress saved)."""
    assignment, meeting = Path(sys.argv[1]), Path(sys.argv[4])
    rank, size, pipe = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5])
    if rank == 0:
        stopping.install()
    else:
        for number in stopping.SIGNALS:  # the first process of a group saves and ends; the others end with it
            signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_listen, args=(rank,), daemon=True, name="parent").start()
    try:
        _work(assignment, rank, size, meeting, pipe)
    except UserError as error:
        print(f"peftcli: {error}", file=sys.stderr)
        sys.exit(2)


def python_path() -> str:
    """Give the PYTHONPATH with which another process finds this package, from wherever it is started."""
    own, given = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")
    return given if own in given.split(os.pathsep) else os.pathsep.join(filter(None, (own, given)))


def _work(file: Path, rank: int, size: int, meeting: Path, pipe: int) -> None:
    from peftcli.engine import parallel
    from peftcli.launchers import pipes as wires
    from peftcli.launchers import shares
    from peftcli.launchers.assignments import decode
    from peftcli.runner import progress, sweep

    own = decode(file)
    if size > 1:
        parallel.join(meeting, rank, size)
    tell = wires.teller(pipe) if rank == 0 else lambda status: None
    cost = partial(shares.cost, own.settings.model)
    sweep.train(own.unit, own.settings, progress.start(own.unit, cost, tell, wires.SECONDS))


def _listen(rank: int) -> None:
    """Do what the parent says; a signal that came already is not followed by a second one, which would end it unsaved."""
    while os.read(0, 1):
        if rank == 0 and not stopping.heard():
            os.kill(os.getpid(), signal.SIGTERM)
    os._exit(stopping.STOPPED)


if __name__ == "__main__":
    main()
