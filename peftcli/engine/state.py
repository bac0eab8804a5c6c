"""What moves while a cohort trains: values, moments and histories, a row each run, so that it can be saved and cut by rows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from peftcli.engine.evaluation import Scored
from peftcli.engine.optimizer import Moments

Span = tuple[int, int]  # columns: the first, and the first behind the last


@dataclass
class History:
    """What one run has to tell: losses and evaluations so far, its best evaluation, and how it ended."""

    training: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    best_step: int = 0
    without_gain: int = 0
    ended: int | None = None  # the step it ended at; it keeps its row until the others end too
    diverged: int | None = None  # the step its loss or values were no longer finite at


@dataclass
class State:
    """What moves while a cohort trains; with the cohort it is all that is needed to go on.

    `flat`, `moments` and `best` (the best evaluation's values, where they are restored) are [runs, n]; `pending` the
    task's losses [runs] of the steps since the last one written down, `penalties` the strategy's of the same steps, where
    it has one; `tokens` counts real tokens computed; `seconds` and `peak_memory_bytes` are what all of it took so far,
    whichever processes did it. It moves inside `changing` alone, so whoever holds its `lock` can save it, in the middle
    of an evaluation too, unless it is `torn`.
    """

    flat: Tensor
    moments: Moments
    best: Tensor | None
    histories: list[History]
    step: int = 0
    tokens: int = 0
    slots: int = 0  # tokens computed, those that only fill up shorter runs included
    pending: list[Tensor] = field(default_factory=list)
    penalties: list[Tensor] = field(default_factory=list)
    scored: list[dict[str, Scored]] = field(default_factory=list)
    seconds: float = 0.0
    peak_memory_bytes: int | None = None  # the largest of its parts, as far as they are known
    torn: bool = field(
        default=False, compare=False
    )  # an error came in the middle of a change: parts do not fit together
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A context for a change, which leaves the state torn where an error ends it."""
        with self.lock:
            self.torn = True
            yield
            self.torn = False

    def on(self, device: torch.device) -> "State":
        """The same state on a device, its values a leaf to train; tensors that are there already are shared."""
        return self._each(lambda tensor: tensor.to(device))

    def rows(self, chosen: Sequence[int], columns: Sequence[Span], tokens: int) -> "State":
        """A copy of some runs' part, as if they had trained without the others; `tokens` are their real ones so far.

        `columns` are those to keep, in order: smaller cohorts may have fewer, where dead slots filled up their runs' rows.
        """
        rows = list(chosen)

        def cut(tensor: Tensor) -> Tensor:  # [runs, n] or, of pending losses and penalties, [runs]
            if tensor.ndim == 1:
                return tensor[rows]
            return torch.cat([tensor[rows, :0], *(tensor[rows, start:stop] for start, stop in columns)], dim=1)

        part, count = self._each(cut), len(self.histories)
        part.histories = [deepcopy(self.histories[row]) for row in rows]
        part.scored = [dict(self.scored[row]) for row in rows]
        # Every run of a cohort computes as many tokens as the longest, and they share its time.
        part.tokens, part.slots, part.seconds = (
            tokens,
            self.slots * len(rows) // count,
            self.seconds * len(rows) / count,
        )
        return part

    def _each(self, change: Callable[[Tensor], Tensor]) -> "State":
        """The state with every tensor changed; the rest is shared."""
        return replace(
            self,
            flat=change(self.flat.detach()).requires_grad_(),
            moments=Moments(change(self.moments.mean), change(self.moments.square)),
            best=None if self.best is None else change(self.best),
            pending=[change(losses) for losses in self.pending],
            penalties=[change(penalties) for penalties in self.penalties],
            lock=Lock(),
        )
