"""Which examples train and which are held out, against the sizes the papers print."""

from typing import Any

import numpy as np
import pytest

from peftcli.data.splits import divide, held_out
from peftcli.errors import UserError
from peftcli.experiment.settings import Training
from tests.material import run


def settings(**options: Any) -> Training:
    return run("rte", **options).protocol


@pytest.mark.parametrize(
    ("size", "train", "validation"),  # effectiveness, the released splits
    [
        (8551, 7695, 856),
        (5749, 5166, 583),
        (3668, 3294, 374),
        (2490, 2241, 249),
        (250, 225, 25),
        (400, 360, 40),
        (554, 495, 59),
    ],
)
def test_a_tenth_gives_the_printed_sizes(size: int, train: int, validation: int) -> None:
    assert held_out(size, 0.1) == validation
    chosen, held = divide(size, settings(validation_share=0.1, validation_split="fixed"), seed=3)
    assert (len(chosen), len(held)) == (train, validation)


@pytest.mark.parametrize(
    ("size", "share", "expected"),
    [(2490, 0.2, 498), (8551, 0.2, 1711), (100, 0.2, 20), (100, 0.3, 30), (10, 0.7, 7), (3, 0.1, 1), (1000, 0.001, 1)],
)
def test_other_shares(size: int, share: float, expected: int) -> None:
    assert held_out(size, share) == expected


def test_known_rows_are_held_out_exactly_and_the_others_reduced() -> None:
    training = settings(validation_share=0.1, validation_split="authors")
    train, held = divide(10, training, seed=1, rows=(2, 5, 9))
    assert (train.tolist(), held.tolist()) == ([0, 1, 3, 4, 6, 7, 8], [2, 5, 9])
    assert divide(10, training, seed=2, rows=(2, 5, 9))[0].tolist() == train.tolist(), "whatever the seed"
    first = settings(validation_share=0.1, validation_split="authors", max_train_samples=3)
    train, held = divide(10, first, seed=1, rows=(0, 2, 9))
    assert (train.tolist(), held.tolist()) == ([1, 3, 4], [0, 2, 9])
    less = settings(validation_share=0.1, validation_split="authors", drop_examples=0.1, train_size=50)
    trained = [divide(100, less, seed, rows=range(10))[0].tolist() for seed in (0, 1)]
    assert [len(each) for each in trained] == [50, 50]
    assert trained[0] != trained[1]
    assert min(map(min, trained)) >= 10


def test_the_two_parts_are_the_whole_once() -> None:
    train, held = divide(1003, settings(validation_share=0.2), seed=1)
    assert sorted([*train, *held]) == list(range(1003))
    assert (np.diff(train) > 0).all()
    assert not (np.diff(held) > 0).all()  # a limit on validation takes a random part


def test_nothing_asked_is_nothing_cut() -> None:
    train, held = divide(17, settings(), seed=1)
    assert train.tolist() == list(range(17))
    assert held.tolist() == []


def test_a_split_is_anew_per_seed_or_fixed() -> None:
    per_seed = [divide(500, settings(validation_share=0.2), seed)[1].tolist() for seed in (0, 1, 0)]
    assert per_seed[0] == per_seed[2] != per_seed[1]
    fixed = [divide(500, settings(validation_share=0.2, validation_split="fixed"), seed)[1].tolist() for seed in (0, 1)]
    assert fixed[0] == fixed[1]


def test_cuts_come_before_the_split_in_order() -> None:
    training = settings(max_train_samples=200, drop_examples=0.1, train_size=100, validation_share=0.2)
    train, held = divide(1000, training, seed=5)
    assert (len(train), len(held)) == (80, 20)
    assert max([*train, *held]) < 200
    assert divide(1000, settings(max_train_samples=200), seed=5)[0].tolist() == list(range(200))
    assert len(divide(150, settings(max_train_samples=200), seed=5)[0]) == 150


def test_dropping_leaves_a_random_tenth_out_for_each_seed() -> None:
    kept = [set(divide(2490, settings(drop_examples=0.1), seed)[0].tolist()) for seed in (0, 1)]
    assert [len(numbers) for numbers in kept] == [2241, 2241]
    assert 0.005 < 1 - len(kept[0] | kept[1]) / 2490 < 0.02  # both drop about a hundredth


def test_a_fixed_split_stays_but_for_what_is_dropped() -> None:
    fixed = settings(validation_share=0.1, validation_split="fixed")
    whole = divide(1000, fixed, seed=0)[1]
    dropping = settings(validation_share=0.1, validation_split="fixed", drop_examples=0.1)
    train, held = divide(1000, dropping, seed=4)
    assert (len(train), len(held)) == (810, 90)
    left = [example for example in whole if example in {*train, *held}]
    assert held.tolist() == left[: len(held)]
    assert len(left) in range(80, 101)


def test_a_cut_larger_than_the_set_is_refused() -> None:
    with pytest.raises(UserError, match="train_size 5000 is more than there are: 2490"):
        divide(2490, settings(train_size=5000), seed=0)
    with pytest.raises(UserError, match="leaves none to train on"):
        divide(1, settings(validation_share=0.1), seed=0)


def test_half_of_one_tenth_is_not_a_rounding_matter() -> None:
    assert held_out(10, 0.1) == 1  # 10 * 0.1 in binary is exact, 3 * 0.1 and 70 * 0.1 are a little more or less
    assert held_out(70, 0.1) == 7
    assert held_out(30, 0.1) == 3
