"""How long a run is, when it is evaluated, and what its learning rate is at each update: worked out by hand."""

from math import ceil
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


@pytest.mark.parametrize(("warmup", "steps"), [(0.1, 30), (0.0, 30), (0.5, 7), (0.06, 5001), (0.9, 2)])
def test_a_cosine_is_transformers_own(warmup: float, steps: int) -> None:
    import torch
    from transformers import get_cosine_schedule_with_warmup

    ours = timing(100, schedule="cosine", warmup_ratio=warmup, steps=steps)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, ours.warmup, steps).lr_lambdas[0]
    assert ours.warmup == ceil(warmup * steps)
    assert [ours.rate(step) for step in range(steps + 1)] == [theirs(step) for step in range(steps + 1)]


def test_a_cosine_stays_at_zero_behind_its_horizon_and_is_half_way_down_in_the_middle() -> None:
    shorter = timing(100, warmup_ratio=0.0, schedule="cosine", schedule_epochs=1.0)
    assert [shorter.rate(step) for step in (0, 10, 15, 20)] == [1.0, 0.0, 0.0, 0.0]
    assert shorter.rate(5) == pytest.approx(0.5)
    longer = timing(100, warmup_ratio=0.0, schedule="cosine", schedule_epochs=6.0)
    assert longer.rate(20) == pytest.approx(0.75)  # a third of the way


def test_dropout_is_on_in_the_first_part_of_each_epoch() -> None:
    part = timing(100, dropout_until=0.3)
    assert [step for step in range(20) if part.dropout(step)] == [0, 1, 2, 10, 11, 12]
    assert not any(timing(100, dropout_until=0.0).dropout(step) for step in range(20))


def stretches(timing: Schedule) -> list[int]:
    """How many updates each written loss is the mean of."""
    ends = sorted(timing.losses)
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize(
    ("examples", "settings"),
    [
        (19_920, {"epochs": 20.0, "evaluate_every": "0.1 epochs", "batch_size": 8}),  # freezing: between evaluations
        (76_950, {"steps": 20_000, "evaluate_every": "500 steps"}),  # effectiveness
        (1_000, {"steps": 1000, "evaluate_every": "333 steps"}),
        (3_210, {"epochs": 7.0}),
        (225, {"steps": 4800, "evaluate_every": "7 steps"}),
    ],
)
def test_losses_are_means_over_equal_stretches(examples: int, settings: dict[str, Any]) -> None:
    """Two grids that drift apart would have points of one step beside points of eighty."""
    long = timing(examples, **settings)
    *whole, last = stretches(long)
    assert max(whole) - min(whole) <= 1
    assert max(whole) / 2 <= last <= 1.5 * max(whole)
    assert 100 <= len(whole) <= 1000
    # But for the last, whose stretch may be joined to the one before: a curve has a point where the metric has one.
    assert len(long.evaluations - long.losses) <= 1


def test_losses_are_means_between_evaluations_where_there_are_enough_of_them() -> None:
    often = timing(4980, epochs=20.0, evaluate_every="0.1 epochs")
    assert often.losses == often.evaluations
    assert len(often.losses) == 200


def test_a_short_run_has_every_loss() -> None:
    assert timing(100).losses == frozenset(range(1, 31))
