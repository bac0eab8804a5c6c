"""How long a run is, when it is evaluated, and what its learning rate is at each update: worked out by hand."""

from typing import Any

import pytest

from peftcli.experiment.plan import defaults
from peftcli.experiment.schedule import Schedule, schedule
from peftcli.experiment.settings import Training


def timing(examples: int, **settings: Any) -> Schedule:
    """The schedule of a run that leaves all but these settings at their defaults; ten examples in a batch."""
    return schedule(Training.model_validate({**defaults(), "epochs": 3.0, "batch_size": 10, **settings}), examples)


def test_a_short_last_batch_is_an_update() -> None:
    assert (timing(100).epoch, timing(100).total) == (10, 30)
    assert (timing(101).epoch, timing(101).total) == (11, 33)
    assert timing(100, epochs=0.25).total == 3


def test_steps_outrank_epochs_and_a_minimum_outranks_both() -> None:
    assert timing(100, steps=7).total == 7
    assert timing(100, minimum_steps=40).total == 40
    assert timing(100, steps=7, minimum_steps=5).total == 7


@pytest.mark.parametrize(
    ("every", "steps"),
    [
        ("1 epoch", [10, 20, 30]),
        ("0.1 epochs", list(range(1, 31))),
        ("0.5 epochs", [5, 10, 15, 20, 25, 30]),
        ("0.01 epochs", list(range(1, 31))),  # several fall on one update
        ("0.000000001 epochs", list(range(1, 31))),  # in no more time than the others
        ("8 steps", [8, 16, 24, 30]),  # and at the end
        ("100 steps", [30]),
    ],
)
def test_evaluations_stand_where_they_are_asked_for_and_at_the_end(every: str, steps: list[int]) -> None:
    assert sorted(timing(100, evaluate_every=every).evaluations) == steps


def test_the_rate_rises_through_the_warm_up_and_falls_to_zero_at_the_horizon() -> None:
    linear = timing(100, warmup_ratio=0.1)
    assert [linear.rate(step) for step in (0, 1, 3, 30)] == [0.0, 1 / 3, 1.0, 0.0]
    assert linear.rate(12) == pytest.approx(18 / 27)
    assert timing(100, warmup_ratio=0.0).rate(0) == 1.0
    constant = timing(100, warmup_ratio=0.1, schedule="constant")
    assert [constant.rate(step) for step in (0, 3, 29)] == [0.0, 1.0, 1.0]
    longer = timing(100, warmup_ratio=0.0, schedule_epochs=6.0)
    assert longer.rate(30) == 0.5
    shorter = timing(100, warmup_ratio=0.0, schedule_epochs=1.0)
    assert [shorter.rate(step) for step in (10, 20)] == [0.0, 0.0]


def test_dropout_is_on_in_the_first_part_of_each_epoch() -> None:
    part = timing(100, dropout_until=0.3)
    assert [step for step in range(20) if part.dropout(step)] == [0, 1, 2, 10, 11, 12]
    assert not any(timing(100, dropout_until=0.0).dropout(step) for step in range(20))


def test_at_most_about_two_hundred_losses_are_kept_and_those_of_evaluations_all() -> None:
    long = timing(100, steps=1000, evaluate_every="333 steps")
    kept = [step for step in range(1, 1001) if long.logged(step)]
    assert kept == sorted({*range(5, 1001, 5), 333, 666, 999})
