"""When things happen in a run: how many steps, at which of them to evaluate, and how high the learning rate is. No torch."""

from dataclasses import dataclass
from math import ceil, cos, pi
from typing import Literal

from peftcli.experiment.settings import Training

LOGGED = 200  # training losses kept in a record, about so many: more where there are more evaluations


@dataclass(frozen=True)
class Schedule:
    """One run's timing in steps: `total` updates, `epoch` of them an epoch, the first `warmup` rising, zero at `horizon`.

    After the updates of `losses` the mean training loss of all since the last of them is written down.
    """

    total: int
    epoch: int
    warmup: int
    horizon: int
    shape: Literal["constant", "linear", "cosine"]
    evaluations: frozenset[int]
    losses: frozenset[int]
    dropout_steps: int

    def rate(self, step: int) -> float:
        """The factor on the learning rate at an update (from 0): up linearly, then as high, or down to zero at the horizon."""
        # The first update has a rate of zero where there is a warm-up, as in the schedules of the papers' libraries.
        if step < self.warmup:
            return step / max(1, self.warmup)
        if self.shape == "constant":
            return 1.0
        stretch = max(1, self.horizon - self.warmup)
        if self.shape == "linear":
            return max(0.0, (self.horizon - step) / stretch)
        # Half a period; behind the horizon a cosine would rise again.
        return 0.5 * (1 + cos(pi * min(1.0, (step - self.warmup) / stretch)))

    def dropout(self, step: int) -> bool:
        """Whether dropout is on at an update (from 0)."""
        # The first updates of each epoch have dropout, its last do not.
        return step % self.epoch < self.dropout_steps


def schedule(training: Training, examples: int) -> Schedule:
    """Work out a run's timing from its settings and its number of training examples."""
    # The last batch of an epoch may be short, and counts as an update.
    epoch = ceil(examples / training.batch_size)
    total = training.steps or ceil(training.epochs * epoch)
    total = max(total, training.minimum_steps or 0)
    # A schedule longer than the run stops above zero; one that is shorter stays at zero.
    horizon = ceil(training.schedule_epochs * epoch) if training.schedule_epochs else total
    number, unit = training.evaluate_every.split()
    interval = max(1.0, float(number) * (epoch if unit.startswith("epoch") else 1))
    return Schedule(
        total,
        epoch,
        ceil(training.warmup_ratio * horizon),
        horizon,
        training.schedule,
        frozenset(_every(interval, total) | {total}),
        frozenset(_losses(interval, total)),
        ceil(training.dropout_until * epoch),
    )


def training_examples(size: int, training: Training) -> int:
    """About how many of a training split's examples a protocol trains on."""
    size = min(size, training.max_train_samples or size)
    size = min(size, training.train_size or size)
    return max(1, round(size * (1 - training.drop_examples) * (1 - training.validation_share)))


def _every(interval: float, total: int) -> set[int]:
    """The updates at which whole intervals end."""
    # Ten intervals of 0.1 epochs are one epoch, though ten times 0.1 may fall short of 1 by a rounding.
    count = int(total / interval + 1e-9)
    # Short intervals may end at one update, which counts once.
    return {min(total, max(1, round(k * interval))) for k in range(1, count + 1)}


def _losses(interval: float, total: int) -> set[int]:
    """After how many updates to write the mean loss down: equal stretches, whole numbers of them between evaluations.

    A mean over one step beside a mean over eighty would make curves saw-tooth, so what is left over at the end is a
    stretch only where it is at least half of one.
    """
    if total < 2 * LOGGED:  # stretches of one step here and two steps there would be anything but equal
        return set(range(1, total + 1))
    parts = max(1, round(LOGGED * interval / total))
    stretch = interval / parts
    ends = {total}
    for evaluated in sorted({0} | _every(interval, total)):
        within = (evaluated + round(part * stretch) for part in range(parts))
        ends |= {end for end in within if 0 < end <= total - stretch / 2}
    return ends
