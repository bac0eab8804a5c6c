"""What metrics come to when every example counts with a weight, for many weightings at once: a bootstrap's resamples.

Weights are [examples, resamples]: how often an example was drawn into a resample. A metric of classes or of entities is a
function of sums over examples, so that one matrix product makes all resamples of all runs; a rank is a cumulative sum of
weights in the order of the values. Every score is what the metric (`peftcli.tasks.metrics`) says of the examples written
out as often as they were drawn, and 0 where that is 0 by convention.

NumPy alone; it is imported with this module, which a report imports where it resamples.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from peftcli.tasks import metrics

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
BLOCK = 128  # resamples whose ranks are taken together: their sums stay in a processor's cache
ROUNDING = 1e-12  # a sum of squares that is so small a share of what it is the rest of is rounding


def draw(examples: int, resamples: int, source: np.random.Generator) -> NDArray[np.float32]:
    """Draw resamples, each as many examples as there are, with replacement: weights [examples, resamples]."""
    weights = np.empty((examples, resamples), dtype=np.float32)  # whole numbers: exact to 16 million
    for at in range(0, resamples, BLOCK):
        width = min(BLOCK, resamples - at)
        cells = source.integers(0, examples, (examples, width)) * width + np.arange(width)
        counts = np.bincount(cells.reshape(-1), minlength=examples * width)
        weights[:, at : at + width] = counts.reshape(examples, width)
    return weights


def scores(
    metric: str,
    predictions: Sequence[NDArray[np.generic]],
    references: NDArray[np.generic],
    weights: NDArray[np.float32],
    lengths: Integers | None = None,
    label_names: Sequence[str] = (),
) -> Floats:
    """Score every run's predictions under every weighting, [runs, resamples], as fractions.

    `predictions` [examples] of each run and `references` [examples] are class indices, or numbers for correlations. Of a
    token task they are by word, [words], `lengths` [examples] says how many words each sentence has, and whole sentences
    are weighted; `entity_f1` needs the `label_names` by index.
    """
    if metric in _NUMBERS:
        return _NUMBERS[metric](np.stack(predictions).astype(np.float64), references.astype(np.float64), weights)
    if metric == "entity_f1":
        assert lengths is not None, "entities are in sentences"
        hits, counted, true = _entity_counts(predictions, references, lengths, label_names)
    else:
        hits, counted, true = _class_counts(predictions, references, lengths)
    # Sums over the drawn examples: right ones and predicted ones [runs, classes, resamples], true ones [classes, resamples].
    summed = [
        (of.reshape(-1, len(weights)).astype(np.float32) @ weights).astype(np.float64).reshape(*of.shape[:-1], -1)
        for of in (hits, counted, true)
    ]
    return _CLASSES[metric](*summed)


def _class_counts(
    predictions: Sequence[NDArray[np.generic]], references: NDArray[np.generic], lengths: Integers | None
) -> tuple[Integers, Integers, Integers]:
    """By class and example, how many answers are right, given, and true: [runs, classes, examples] twice, [classes, examples]."""
    given = np.stack(predictions)
    # The second class exists for F1 even where nobody has it.
    classes = np.arange(max(1, int(given.max()), int(references.max())) + 1)[:, None]
    true, answered = references == classes, given[:, None, :] == classes
    return _by_example(answered & true, lengths), _by_example(answered, lengths), _by_example(true, lengths)


def _by_example(marks: NDArray[np.bool_], lengths: Integers | None) -> Integers:
    """Sum words [..., words] to sentences [..., sentences]; one answer an example stays as it is."""
    if lengths is None:
        return marks.astype(np.int64)
    # Differences of a running sum: a sentence may have no word.
    running = np.concatenate([np.zeros((*marks.shape[:-1], 1), np.int64), marks.cumsum(-1)], -1)
    ends = np.cumsum(lengths)
    summed: Integers = running[..., ends] - running[..., ends - lengths]
    return summed


def _entity_counts(
    predictions: Sequence[NDArray[np.generic]], references: NDArray[np.generic], lengths: Integers, names: Sequence[str]
) -> tuple[Integers, Integers, Integers]:
    """By sentence, how many entities are right, given, and true, as of one class: [runs, 1, sentences] twice, [1, sentences]."""
    sentence_of = np.repeat(np.arange(len(lengths)), lengths)  # [words]
    cuts = np.cumsum(lengths)[:-1]

    def counts(entities: set[tuple[str, int, int]]) -> Integers:
        """How many of these entities each sentence has, [sentences]."""
        starts = np.fromiter((first for _, first, _ in entities), dtype=np.int64, count=len(entities))
        return np.asarray(np.bincount(sentence_of[starts], minlength=len(lengths)))

    true = metrics.entities(np.split(references, cuts), names)
    predicted = [metrics.entities(np.split(of_run, cuts), names) for of_run in predictions]
    hits = np.stack([counts(of_run & true) for of_run in predicted])
    return hits[:, None], np.stack([counts(of_run) for of_run in predicted])[:, None], counts(true)[None]


def _share(part: Floats, whole: Floats) -> Floats:
    """Divide, 0 where there is nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(part.shape, whole.shape)), where=whole > 0)


def _accuracy(hits: Floats, given: Floats, true: Floats) -> Floats:
    return _share(hits.sum(1), true.sum(0))


def _f1(hits: Floats, given: Floats, true: Floats) -> Floats:
    """Of the last class: the positive one of two, and entities, which are one class."""
    return _share(2 * hits[:, -1], given[:, -1] + true[-1])


def _f1_macro(hits: Floats, given: Floats, true: Floats) -> Floats:
    # A class that a resample neither has nor was given takes no part in its average.
    occurs = given + true > 0
    return _share((_share(2 * hits, given + true) * occurs).sum(1), occurs.sum(1))


def _matthews(hits: Floats, given: Floats, true: Floats) -> Floats:
    """The correlation of two classifications into any number of classes (Gorodkin, 2004)."""
    right, total = hits.sum(1), true.sum(0)
    covariance = right * total - (given * true).sum(1)
    spread = (total**2 - (given**2).sum(1)) * (total**2 - (true**2).sum(0))
    return _share(covariance, np.sqrt(spread))


def _mean_accuracy_f1(hits: Floats, given: Floats, true: Floats) -> Floats:
    return (_accuracy(hits, given, true) + _f1(hits, given, true)) / 2


def _correlation(covariance: Floats, squares: Floats, other_squares: Floats) -> Floats:
    """Divide a covariance by both deviations, 0 where a side does not vary."""
    return _share(covariance, np.sqrt(squares * other_squares))


def _pearson(predicted: Floats, true: Floats, weights: NDArray[np.float32]) -> Floats:
    counts = weights.astype(np.float64)
    drawn = counts.sum(0)
    # Around the middle, where squares are small; between the extremes, so that equal numbers become 0 exactly.
    x, y = (
        of - np.clip(of.mean(-1, keepdims=True), of.min(-1, keepdims=True), of.max(-1, keepdims=True))
        for of in (predicted, true)
    )
    sums, other_sums = x @ counts, y @ counts
    squares, other_squares = x**2 @ counts, y**2 @ counts
    variation, other_variation = squares - sums**2 / drawn, other_squares - other_sums**2 / drawn
    # What is left of squares that are all mean is rounding.
    variation[variation < ROUNDING * squares] = 0
    other_variation[other_variation < ROUNDING * other_squares] = 0
    return _correlation((x * y) @ counts - sums * other_sums / drawn, variation, other_variation)


def _spearman(predicted: Floats, true: Floats, weights: NDArray[np.float32]) -> Floats:
    counts = weights.astype(np.float64)
    cubes = np.einsum("er,er->r", counts * counts, counts)  # of the ties where all values differ: what was drawn often
    middle = counts.sum(0) / 2
    ranked, below, ties = np.empty_like(counts), np.zeros_like(middle), np.zeros_like(middle)
    for tied in _ascending(true):
        drawn = counts[tied].sum(0)
        # The mean of their ranks less the mean of all, (n + 1) / 2; as often as each was drawn.
        ranked[tied] = counts[tied] * (below + drawn / 2 - middle)
        below += drawn
        ties += drawn**3
    covariances, squares = zip(*(_with_ranks(of_run, counts, ranked, cubes) for of_run in predicted), strict=True)
    return _correlation(np.stack(covariances), np.stack(squares), (below**3 - ties) / 12)


def _ascending(values: Floats) -> list[Integers]:
    """Sort [examples] by their values, those with equal ones together."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    return np.split(order, np.flatnonzero(ascending[1:] != ascending[:-1]) + 1)


def _with_ranks(values: Floats, counts: Floats, ranked: Floats, cubes: Floats) -> tuple[Floats, Floats]:
    """Return the covariance of the ranks of values with the references', and their squares, both summed over what was drawn.

    `ranked` [examples, resamples] has the references' ranks less their mean, as often as each was drawn. The squares are
    (n^3 - the cube of each tie's size) / 12; `cubes` [resamples] are those of values that all differ.
    """
    # One row of resamples after another: they stay in a processor's cache, where a cumulative sum of the whole matrix takes
    # ten times as long. A constant taken from the ranks changes nothing, since the references' add up to 0.
    below, covariance, product = (np.zeros(counts.shape[1]) for _ in range(3))
    cubes = cubes.copy()
    for tied in _ascending(values):
        half, others = counts[tied[0]] / 2, ranked[tied[0]]
        if len(tied) > 1:
            half, others = counts[tied].sum(0) / 2, ranked[tied].sum(0)
            cubes += (2 * half) ** 3 - (counts[tied] ** 3).sum(0)
        below += half
        np.multiply(below, others, out=product)
        covariance += product
        below += half
    return covariance, (below**3 - cubes) / 12


def _mean_pearson_spearman(predicted: Floats, true: Floats, weights: NDArray[np.float32]) -> Floats:
    return (_pearson(predicted, true, weights) + _spearman(predicted, true, weights)) / 2


_CLASSES: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "f1_micro": _accuracy,  # every answer is one class, and every reference: what is wrongly given is wrongly missed
    "matthews": _matthews,
    "mean_accuracy_f1": _mean_accuracy_f1,
    "entity_f1": _f1,
}
_NUMBERS: dict[str, Callable[[Floats, Floats, NDArray[np.float32]], Floats]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "mean_pearson_spearman": _mean_pearson_spearman,
}
