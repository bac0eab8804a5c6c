"""Dividing cohorts among processes or jobs, by what each is expected to cost. A share is a list. No torch."""

from collections.abc import Callable, Sequence

from peftcli.experiment import parameters
from peftcli.experiment.run import Run, task_of
from peftcli.experiment.schedule import schedule
from peftcli.experiment.settings import Training

Cohort = tuple[Run, ...]
UNKNOWN = 10_000  # examples to train on, where a task's row does not say


def divide(cohorts: Sequence[Cohort], count: int, cost: Callable[[Cohort], float]) -> list[tuple[Cohort, ...]]:
    """Divide cohorts into at most `count` shares: the costliest first, each to the share that has least so far.

    Cohorts stay as they are: a run's company does not depend on how many processes there are. Equal costs go in order.
    """
    shares: list[list[Cohort]] = [[] for _ in range(min(count, len(cohorts)))]
    loads = [0.0] * len(shares)
    for cohort in sorted(cohorts, key=cost, reverse=True):
        least = loads.index(min(loads))
        shares[least].append(cohort)
        loads[least] += cost(cohort)
    return [tuple(share) for share in shares]


def cost(model: str, cohort: Cohort) -> float:
    """Estimate a cohort's work, in tokens through the model forward: its training steps and its evaluations.

    Every sequence counts with the maximum length: what matters is how the cohorts of one recipe compare.
    """
    return sum(_cost(model, run) for run in cohort)


def _cost(model: str, run: Run) -> float:
    task, training = task_of(run), run.protocol
    timing = schedule(training, _examples(task.sizes.get("train", UNKNOWN), training))
    evaluated = sum(task.sizes.get(split, 0) for split in task.evaluation)
    trained = timing.total * training.batch_size * _passes(model, run)
    return training.max_length * (trained + len(timing.evaluations) * evaluated)


def _examples(size: int, training: Training) -> int:
    """About how many examples are left to train on."""
    size = min(size, training.max_train_samples or size)
    size = min(size, training.train_size or size)
    return max(1, round(size * (1 - training.drop_examples) * (1 - training.validation_share)))


def _passes(model: str, run: Run) -> float:
    """What a training step costs in forward passes: one, one back where anything moves, up to one for the weights."""
    counts = parameters.run_count(model, run)
    return 1.0 if not counts.trainable else 2.0 + min(1.0, counts.trainable / counts.total)
