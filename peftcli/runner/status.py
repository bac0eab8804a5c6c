"""What a process tells of its work: where it is, what has ended, and how much is left; and in words for a screen. No torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from peftcli.runner.display import Screen

FIRST_GUESS = 3.0  # seconds of work before its end is guessed
COLUMNS = ("process", "running", "step", "loss", "steps/s")


@dataclass(frozen=True)
class Status:
    """One process at a moment: all it has done since it began, so that any of its tellings may be lost.

    `step` of `steps` updates, `losses` the lowest and highest of the runs in training, `rate` in updates a second;
    `done` and `failed` of `runs`; `worked` and `left` in the unit of the launchers' costs, `seconds` at work.
    """

    running: str = "starting"
    step: int = 0
    steps: int = 0
    losses: tuple[float, float] | None = None
    rate: float | None = None
    runs: int = 0
    done: int = 0
    failed: int = 0
    worked: float = 0.0
    left: float = 0.0
    seconds: float = 0.0

    def ended(self, how: str) -> "Status":
        """Say that the process is gone: nothing more comes of it."""
        return replace(self, running=how, steps=0, losses=None, rate=None, left=0.0)


def encode(status: Status) -> bytes:
    """Write a status as one line."""
    return json.dumps(asdict(status)).encode() + b"\n"


def decode(line: bytes) -> Status:
    """Read a status from a line that `encode` wrote."""
    found = json.loads(line)
    return Status(**{**found, "losses": found["losses"] and tuple(found["losses"])})


def seconds_left(works: Sequence[tuple[float, float, float]]) -> float | None:
    """Estimate when the last of several workers ends, each given as work done, work left and the seconds spent.

    One that has done nothing yet is taken to be as fast as the others on average. None where nobody has done enough.
    """
    speeds = [worked / seconds for worked, _, seconds in works if worked > 0 and seconds >= FIRST_GUESS]
    if not speeds:
        return None
    usual = sum(speeds) / len(speeds)
    return max(
        left / (worked / seconds if worked > 0 and seconds >= FIRST_GUESS else usual) for worked, left, seconds in works
    )


def screen(statuses: Mapping[str, Status]) -> Screen:
    """Word the processes by name, a row each, and all of them together."""
    rows = tuple((name, *_cells(status)) for name, status in statuses.items())
    found = list(statuses.values())
    done, failed, runs = (sum(getattr(own, name) for own in found) for name in ("done", "failed", "runs"))
    return Screen(
        COLUMNS, rows, summary(done, failed, runs, seconds_left([(s.worked, s.left, s.seconds) for s in found]))
    )


def summary(done: int, failed: int, runs: int, seconds: float | None) -> str:
    """Word how far a sweep is."""
    guess = f"; {duration(seconds)} left" if seconds is not None and runs > done + failed else ""
    return f"{done} done, {failed} failed, {runs - done - failed} left{guess}"


def duration(seconds: float) -> str:
    """Word a guessed time, no finer than the guess is."""
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"about {seconds / 86400:.1f} days"


def _cells(status: Status) -> tuple[str, str, str, str]:
    step = f"{status.step}/{status.steps}" if status.steps else ""
    rate = f"{status.rate:.3g}" if status.rate is not None else ""
    return status.running, step, _range(status.losses), rate


def _range(losses: tuple[float, float] | None) -> str:
    if losses is None:
        return ""
    low, high = (f"{loss:.3f}" for loss in losses)
    return low if low == high else f"{low} to {high}"
