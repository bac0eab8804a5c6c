"""Which examples of a training set a run trains on, and which it holds out. Pure functions over counts."""

from fractions import Fraction

import numpy as np

from peftcli.data.examples import Array
from peftcli.errors import UserError
from peftcli.experiment.settings import Training
from peftcli.seeds import generator


def divide(size: int, training: Training, seed: int) -> tuple[Array, Array]:
    """Give the examples to train on, in the data set's order, and those held out, in a random one.

    First come the cuts, in this order: `max_train_samples` keeps the first so many, `drop_examples` leaves a random
    fraction out for each seed, `train_size` keeps a random so many. Of what is left `validation_share` is held out,
    drawn for each seed or, where the split is fixed, by one order of the whole set: with nothing cut it is the same
    for every seed, with cuts the same but for what was cut.
    Raises UserError where the set is smaller than `train_size`, and where nothing would be left on either side.
    """
    kept = np.arange(min(size, training.max_train_samples or size))
    if training.drop_examples:
        dropped = _floor(len(kept) * _exact(training.drop_examples))
        kept = _draw(kept, len(kept) - dropped, seed, "drop")
    if training.train_size is not None:
        if training.train_size > len(kept):
            raise UserError(f"train_size {training.train_size} is more than there are: {len(kept)}")
        kept = _draw(kept, training.train_size, seed, "train size")
    if not training.validation_share:
        return kept, np.zeros(0, np.int64)
    own = seed if training.validation_split == "per seed" else 0
    order = generator(own, "split").permutation(size)
    order = order[np.isin(order, kept)]
    count = held_out(len(kept), training.validation_share)
    return np.sort(order[count:]), order[:count]


def held_out(size: int, share: float) -> int:
    """Say how many of `size` examples a share holds out.

    A fold is the share rounded down; the rest trains in multiples of a fold, and what is left over is held out too:
    a tenth of 5749 is 583, for nine folds of 574 train. This is the one rule that gives every size printed for the
    effectiveness paper (7695/856, 5166/583, 3294/374, 2241/249, 225/25, 360/40, 495/59); rounding the share up or
    down gives four of the seven. Where there are too few examples for a fold, one is held out.
    Raises UserError where nothing would be left to train on.
    """
    exact = _exact(share)
    fold = _floor(size * exact)
    count = size - _floor(fold * (1 - exact) / exact) if fold else 1
    if count >= size:
        raise UserError(f"validation_share {share} of {size} examples leaves none to train on")
    return count


def _draw(kept: Array, count: int, seed: int, name: str) -> Array:
    return np.sort(generator(seed, name).permutation(kept)[:count])


def _exact(share: float) -> Fraction:
    """The fraction that is meant, as it is written: a tenth, where the float is a little more."""
    return Fraction(repr(share))


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator
