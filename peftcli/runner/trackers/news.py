"""What one process tells another of a run's curves, as a line of JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from peftcli.runner.trackers.story import End, Point, Story


@dataclass(frozen=True)
class Counts:
    """How many of a run's losses and of its evaluations: those that a tracker has, or those before some others."""

    training: int = 0
    evaluations: int = 0


@dataclass(frozen=True)
class News:
    """Some of a run's entries, in the order of its record, those `before` them left out; and its end, once it has come."""

    story: Story
    before: Counts
    training: Sequence[Point]
    evaluations: Sequence[Point]
    end: End | None = None

    def after(self, counts: Counts) -> list[Point]:
        """Return the points that come after the first so many of the run, by step."""
        training = self.training[max(counts.training - self.before.training, 0) :]
        evaluations = self.evaluations[max(counts.evaluations - self.before.evaluations, 0) :]
        return sorted([*training, *evaluations], key=lambda point: point[0])

    @property
    def upto(self) -> Counts:
        """How many the run had when this was told."""
        return Counts(self.before.training + len(self.training), self.before.evaluations + len(self.evaluations))

    def line(self) -> bytes:
        """Return it as a line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Return what `line` wrote."""
        told = json.loads(line)
        end = None if told["end"] is None else End(**told["end"])
        return cls(Story(**told["story"]), Counts(**told["before"]), told["training"], told["evaluations"], end)
