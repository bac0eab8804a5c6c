"""When things happen in a run: how many steps, at which of them to evaluate, and how high the learning rate is. No torch."""

from dataclasses import dataclass
from math import ceil

from peftcli.experiment.settings import Training

LOGGED = 200  # training losses kept in a record, at most about so many


@dataclass(frozen=True)
class Schedule:
    """One run's timing in steps: `total` updates, `epoch` of them an epoch, the first `warmup` rising, zero at `horizon`."""

    total: int
    epoch: int
    warmup: int
    horizon: int
    decays: bool
    evaluations: frozenset[int]
    dropout_steps: int

    def rate(self, step: int) -> float:
        """The factor on the learning rate at an update (from 0): up linearly, then down to zero at the horizon."""
        # The first update has a rate of zero where there is a warm-up, as in the schedules of the papers' libraries.
        if step < self.warmup:
            return step / max(1, self.warmup)
        if not self.decays:
            return 1.0
        return max(0.0, (self.horizon - step) / max(1, self.horizon - self.warmup))

    def dropout(self, step: int) -> bool:
        """Whether dropout is on at an update (from 0)."""
        # The first updates of each epoch have dropout, its last do not.
        return step % self.epoch < self.dropout_steps

    def logged(self, step: int) -> bool:
        """Whether the training loss is written down after so many updates."""
        return step % max(1, ceil(self.total / LOGGED)) == 0 or step == self.total or step in self.evaluations


def schedule(training: Training, examples: int) -> Schedule:
    """Work out a run's timing from its settings and its number of training examples."""
    # The last batch of an epoch may be short, and counts as an update.
    epoch = ceil(examples / training.batch_size)
    total = training.steps or ceil(training.epochs * epoch)
    total = max(total, training.minimum_steps or 0)
    # A schedule longer than the run stops above zero; one that is shorter stays at zero.
    horizon = ceil(training.schedule_epochs * epoch) if training.schedule_epochs else total
    return Schedule(
        total,
        epoch,
        ceil(training.warmup_ratio * horizon),
        horizon,
        training.schedule == "linear",
        frozenset(_evaluations(training.evaluate_every, epoch, total)),
        ceil(training.dropout_until * epoch),
    )


def _evaluations(every: str, epoch: int, total: int) -> list[int]:
    """After how many updates to evaluate; the last one always among them."""
    number, unit = every.split()
    interval = float(number) * (epoch if unit.startswith("epoch") else 1)
    if interval <= 1:
        return list(range(1, total + 1))
    # Ten intervals of 0.1 epochs are one epoch, though ten times 0.1 may fall short of 1 by a rounding.
    count = int(total / interval + 1e-9)
    # Short intervals may fall on one update: it is evaluated once.
    return sorted({min(total, max(1, round(k * interval))) for k in range(1, count + 1)} | {total})
