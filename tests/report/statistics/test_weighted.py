"""Metrics under weights equal the tasks' own metrics of the examples written out as often as they were drawn."""

from typing import Any

import numpy as np
import pytest

from peftcli.report.statistics import weighted
from peftcli.tasks import metrics

NAMES = ("O", "B-X", "I-X", "B-Y", "I-Y")
CLASSES = ("accuracy", "f1_macro", "f1_micro", "matthews")
BINARY = (*CLASSES, "f1", "mean_accuracy_f1")
NUMBERS = ("pearson", "spearman", "mean_pearson_spearman")


def written_out(metric: str, predictions: Any, references: Any, counts: Any, lengths: Any = None) -> float:
    """The tasks' metric of every example as often as counted, one after the other."""
    drawn = np.repeat(np.arange(len(counts)), counts)
    if lengths is None:
        return metrics.compute([metric], predictions[drawn], references[drawn])[metric]
    starts = np.cumsum(lengths) - lengths
    words = np.concatenate([np.arange(starts[i], starts[i] + lengths[i]) for i in drawn])
    return metrics.compute([metric], predictions[words], references[words], NAMES, lengths[drawn])[metric]


def assert_equal(metric: str, predictions: Any, references: Any, weights: Any, lengths: Any = None) -> None:
    ours = weighted.scores(metric, predictions, references, weights, lengths, NAMES)
    assert ours.shape == (len(predictions), weights.shape[1])
    for run, of_run in enumerate(predictions):
        theirs = [written_out(metric, of_run, references, column.astype(int), lengths) for column in weights.T]
        np.testing.assert_allclose(ours[run], theirs, rtol=0, atol=1e-9)


@pytest.fixture
def source() -> np.random.Generator:
    return np.random.default_rng(7)


def with_the_set_itself(weights: Any) -> Any:
    """Weights, the first of which count every example once, and the second one example alone."""
    weights[:, :2] = 1, 0
    weights[3, 1] = len(weights)
    return weights


@pytest.mark.parametrize("metric", BINARY)
def test_two_classes(metric: str, source: np.random.Generator) -> None:
    references = source.integers(0, 2, 30)
    right = source.random((3, 30)) < 0.8
    predictions = [*np.where(right, references, 1 - references), np.zeros(30, int), np.ones(30, int)]
    assert_equal(metric, predictions, references, with_the_set_itself(weighted.draw(30, 12, source)))


@pytest.mark.parametrize("metric", CLASSES)
def test_many_classes_of_which_resamples_lack_some(metric: str, source: np.random.Generator) -> None:
    references = source.integers(0, 7, 16)
    predictions = [np.where(source.random(16) < 0.6, references, source.integers(0, 7, 16)) for _ in range(3)]
    assert_equal(metric, predictions, references, with_the_set_itself(weighted.draw(16, 12, source)))


@pytest.mark.parametrize("metric", [*CLASSES, "entity_f1"])
def test_sentences_are_drawn_whole(metric: str, source: np.random.Generator) -> None:
    lengths = source.integers(1, 9, 14)
    references = source.integers(0, 5, lengths.sum())
    predictions = [np.where(source.random(len(references)) < 0.7, references, 0) for _ in range(3)]
    assert_equal(metric, predictions, references, with_the_set_itself(weighted.draw(14, 10, source)), lengths)


def test_a_sentence_without_words_changes_nothing(source: np.random.Generator) -> None:
    references, lengths = np.array([0, 1, 2, 1, 2, 2]), np.array([0, 2, 0, 4, 0])
    predictions = [np.array([0, 1, 2, 1, 0, 2])]
    weights = np.array([[3, 1, 0, 1, 0], [0, 2, 2, 1, 0], [1, 0, 0, 1, 3]], dtype=np.float32).T
    for metric in ("f1_macro", "entity_f1"):
        ours = weighted.scores(metric, predictions, references, weights, lengths, NAMES)
        without = weighted.scores(metric, predictions, references, weights[[1, 3]], lengths[[1, 3]], NAMES)
        np.testing.assert_array_equal(ours, without)


@pytest.mark.parametrize("metric", NUMBERS)
def test_numbers_with_ties_and_without(metric: str, source: np.random.Generator) -> None:
    references = source.integers(0, 6, 25) / 5
    noisy = references + source.normal(0, 0.5, (2, 25)) + 1000  # far from 0, as no squares should mind
    predictions = [*noisy, source.integers(0, 3, 25) / 3, np.full(25, 0.1), -references]
    weights = with_the_set_itself(weighted.draw(25, 12, source))
    assert_equal(metric, predictions, references, weights)
    alike = weighted.scores(metric, predictions, references, weights)[3]
    assert (alike == 0).all(), "equal numbers order nothing"


def test_every_metric_of_the_tasks_is_there() -> None:
    assert {*weighted._CLASSES, *weighted._NUMBERS} == set(metrics.NAMES)


def test_a_resample_has_as_many_examples_and_each_is_as_likely(source: np.random.Generator) -> None:
    weights = weighted.draw(40, 3000, source)
    assert (weights.sum(0) == 40).all()
    # A mean of 3,000 counts whose variance is nearly 1.
    np.testing.assert_allclose(weights.mean(1), 1, atol=5 / np.sqrt(3000))
    np.testing.assert_allclose(weights.var(1).mean(), 1 - 1 / 40, atol=0.02)
