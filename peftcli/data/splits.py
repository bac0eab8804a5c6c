"""Which examples of a training set a run trains on, and which it holds out. Pure functions over counts."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from peftcli.data.examples import Array
from peftcli.errors import UserError
from peftcli.experiment.settings import Training
from peftcli.seeds import generator


def divide(size: int, training: Training, seed: int, rows: Sequence[int] | None = None) -> tuple[Array, Array]:
    """Return the examples to train on, in the data set's order, and those held out, in a random one.

    `rows` are those to hold out where they are known: exactly these, in their order, and the others are reduced.

    The training set is first reduced, in this order: `max_train_samples` keeps its first examples, `drop_examples`
    drops a random fraction, `train_size` keeps a random number of them. Of the rest `validation_share` is held out: by
    one order for each seed or, where the split is fixed, by one order of the whole set for all seeds. So without a
    reduction the fixed split is the same for every seed, and with one it is the same but for the examples dropped.
    Raises UserError where the set is smaller than `train_size`, and where nothing would be left on either side.
    """
    held = np.asarray(rows or (), np.int64)
    # Example numbers, ascending throughout.
    kept = np.setdiff1d(np.arange(size), held)[: training.max_train_samples]
    if training.drop_examples:
        dropped = math.floor(len(kept) * _as_written(training.drop_examples))
        kept = _draw(kept, len(kept) - dropped, seed, "drop")
    if training.train_size is not None:
        if training.train_size > len(kept):
            raise UserError(f"train_size {training.train_size} is more than there are: {len(kept)}")
        kept = _draw(kept, training.train_size, seed, "train size")
    if rows is not None or not training.validation_share:
        return kept, held
    split_seed = seed if training.validation_split == "per seed" else 0
    # An order of the whole set, not of what is kept: the relative order of two examples depends on the seed alone.
    order = generator(split_seed, "split").permutation(size)
    order = order[np.isin(order, kept)]
    count = held_out(len(kept), training.validation_share)
    return np.sort(order[count:]), order[:count]


def held_out(size: int, share: float) -> int:
    """Return how many of `size` examples a share holds out.

    A fold is the share rounded down; training gets a whole number of folds, and what is left over is held out too: a
    tenth of 5749 is 583, for nine folds of 574 train. This is the one rule that gives every size printed for the
    effectiveness paper (7695/856, 5166/583, 3294/374, 2241/249, 225/25, 360/40, 495/59); rounding the share up or
    down gives four of the seven. Where there are too few examples for a fold, one is held out.
    Raises UserError where nothing would be left to train on.
    """
    exact = _as_written(share)
    fold = math.floor(size * exact)
    count = size - math.floor(fold * (1 - exact) / exact) if fold else 1
    if count >= size:
        raise UserError(f"validation_share {share} of {size} examples leaves none to train on")
    return count


def _draw(kept: Array, count: int, seed: int, name: str) -> Array:
    return np.sort(generator(seed, name).permutation(kept)[:count])


def _as_written(share: float) -> Fraction:
    """Return the fraction that is meant: 0.1 is a tenth, where the float is a little more and would round otherwise."""
    return Fraction(repr(share))
