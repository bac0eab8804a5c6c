"""The metrics: local `evaluate.Metric` subclasses over scikit-learn and scipy. Every one is better when larger.

Importing this module costs nothing: recipes check metric names against `NAMES`. The libraries come with the first use.
`import evaluate` takes seconds in an empty process, for torch and for transformers' pipelines, which its evaluators
want, and some 50 ms where a model has been loaded. No part of it can be imported without the rest.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from peftcli.errors import UserError, unknown

if TYPE_CHECKING:
    from evaluate import Metric, MetricInfo
    from numpy import ndarray

Score = Callable[["ndarray", "ndarray"], float]


def _accuracy(predictions: ndarray, references: ndarray) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(references, predictions))


def _f1(predictions: ndarray, references: ndarray) -> float:
    from sklearn.metrics import f1_score

    largest = max(predictions.max(), references.max())
    if largest > 1:
        raise UserError(f"metric 'f1' is for two classes, not for label {largest}: use f1_macro or f1_micro")
    return float(f1_score(references, predictions, zero_division=0))


def _f1_over_labels(predictions: ndarray, references: ndarray, average: Literal["macro", "micro"]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(references, predictions, average=average, zero_division=0))


def _matthews(predictions: ndarray, references: ndarray) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(references, predictions))


def _mean_accuracy_f1(predictions: ndarray, references: ndarray) -> float:
    return (_accuracy(predictions, references) + _f1(predictions, references)) / 2


def _pearson(predictions: ndarray, references: ndarray) -> float:
    from scipy.stats import pearsonr

    # scipy refuses a single pair here, and gives NaN for it in spearmanr
    return 0.0 if len(references) < 2 else _defined(pearsonr(predictions, references).statistic)


def _spearman(predictions: ndarray, references: ndarray) -> float:
    from scipy.stats import spearmanr

    return _defined(spearmanr(predictions, references).statistic)


def _defined(correlation: float) -> float:
    return float(correlation) if math.isfinite(correlation) else 0.0


def _mean_pearson_spearman(predictions: ndarray, references: ndarray) -> float:
    return (_pearson(predictions, references) + _spearman(predictions, references)) / 2


def _entity_f1(predictions: list[ndarray], references: list[ndarray], label_names: Sequence[str]) -> float:
    """F1 over whole entities as seqeval's default mode counts: one is right if its type and both its ends are."""
    found, true = _entities(predictions, label_names), _entities(references, label_names)
    return 2 * len(found & true) / (len(found) + len(true)) if found or true else 0.0


def _entities(sentences: list[ndarray], label_names: Sequence[str]) -> set[tuple[str, int, int]]:
    """Give each entity's type, first and last token, tokens counted through all sentences.

    The rules are conlleval's: an I that does not continue an entity of its type begins one. E and S (IOBES) are read.
    """
    import numpy as np

    labels = np.concatenate(sentences)
    sentence = np.repeat(np.arange(len(sentences)), [len(tokens) for tokens in sentences])
    prefixes, types = zip(*map(_prefix_and_type, label_names), strict=True)
    prefix, kind = np.array(prefixes)[labels], np.array(types)[labels]
    inside = prefix != "O"
    goes_on = np.zeros(
        len(labels) + 1, dtype=bool
    )  # a token is of the entity of the one before; no token follows the last
    goes_on[1:-1] = (
        np.isin(prefix[:-1], ["B", "I"])
        & np.isin(prefix[1:], ["I", "E"])
        & (kind[:-1] == kind[1:])
        & (sentence[:-1] == sentence[1:])
    )
    first, last = np.flatnonzero(inside & ~goes_on[:-1]), np.flatnonzero(inside & ~goes_on[1:])
    return set(zip(kind[first].tolist(), first.tolist(), last.tolist(), strict=True))


def _prefix_and_type(label: str) -> tuple[str, str]:
    match = re.fullmatch(r"(O)|([BIES])(?:-(.*))?", label)
    if match is None:
        raise UserError(f"metric 'entity_f1' reads labels like O, B-PER, I-PER, not {label!r}")
    return match[1] or match[2], match[3] or "_"


_CLASSES: dict[str, Score] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "f1_macro": partial(_f1_over_labels, average="macro"),
    "f1_micro": partial(_f1_over_labels, average="micro"),
    "matthews": _matthews,
    "mean_accuracy_f1": _mean_accuracy_f1,
}
_NUMBERS: dict[str, Score] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "mean_pearson_spearman": _mean_pearson_spearman,
}
NAMES: tuple[str, ...] = (*_CLASSES, *_NUMBERS, "entity_f1")


def takes(name: str) -> Literal["classes", "numbers", "entities"]:
    """Tell what a metric compares: class indices, real numbers, or entities in the sentences of a token task.

    Raises UserError for a name that is not in `NAMES`.
    """
    if name not in NAMES:
        raise unknown("metric", name, NAMES)
    return "classes" if name in _CLASSES else "numbers" if name in _NUMBERS else "entities"


@cache
def metric_class(name: str) -> type[Metric]:
    """Make the `evaluate.Metric` subclass of a name. It touches neither the network nor the disk.

    Its `compute(predictions=…, references=…)` takes lists of rows, `[sentences][tokens]`, or one row of all examples
    where there are no sentences (a row is stored at once: 0.03 s for 50,000 labels, not 0.11 s); for entity_f1 also
    `label_names=…`. Make an instance for each use: one whose inputs were refused keeps them.
    Raises UserError for a name that is not in `NAMES`.
    """
    import datasets
    import evaluate

    row = datasets.List(datasets.Value("float64" if takes(name) == "numbers" else "int64"))

    class Local(evaluate.Metric):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            # a seed given is a global random state neither read nor, after compute, moved
            super().__init__(keep_in_memory=True, seed=0)

        def _info(self) -> MetricInfo:
            features = datasets.Features({"predictions": row, "references": row})
            return evaluate.MetricInfo(description=name, citation="", inputs_description="", features=features)

        def _build_data_dir(self) -> str:
            return ""  # the parent makes a folder in the user's cache, even with keep_in_memory

        def _compute(self, *, predictions: Any, references: Any, label_names: Any = None) -> dict[str, float]:
            return {name: _score(name, predictions, references, label_names)}

    Local.__name__ = name.title().replace("_", "")
    return Local


def _score(name: str, predictions: list[Any], references: list[Any], label_names: Sequence[str] | None) -> float:
    import numpy as np

    dtype = np.float64 if takes(name) == "numbers" else np.int64
    found, true = ([np.asarray(row, dtype=dtype) for row in rows] for rows in (predictions, references))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of undefined values, which `compute` defines
        if name == "entity_f1":
            assert label_names is not None, "entity_f1 needs label names"
            return _entity_f1(found, true, label_names)
        return {**_CLASSES, **_NUMBERS}[name](np.concatenate(found), np.concatenate(true))


def compute(
    names: Sequence[str],
    predictions: ndarray,
    references: ndarray,
    label_names: Sequence[str] | None = None,
    lengths: Sequence[int] | ndarray | None = None,
) -> dict[str, float]:
    """Compute metrics as fractions: 0 to 1, correlations (matthews too) -1 to 1; always finite.

    `predictions` and `references` are `[examples]`: class indices, or real numbers for correlations. For a token task
    they are `[labelled tokens]`, all sentences end to end, `lengths` the labelled tokens of each sentence and
    `label_names` the labels by index. f1 is of class 1; f1_macro and f1_micro are over the labels that occur in
    references or predictions, O included; entity_f1 is micro-averaged over entities (seqeval's default mode).

    Degenerate inputs have scikit-learn's and scipy's value where they have one: f1 with no positive and matthews of
    one class are 0. Where scipy's correlation is NaN (constant predictions or references, one example, a NaN among the
    predictions, for pearson an infinity too) it is 0.0: such predictions order nothing, a record holds no NaN, and one
    run's divergence must not stop the runs beside it. That a run diverged is for the caller to see, from its logits:
    their argmax is a legal class even where they are NaN.

    Raises UserError for an unknown name, for a metric that does not fit the kind of input, for f1 with more than two
    classes, and for entity_f1 over labels that are not O, B-type, I-type.
    """
    import numpy as np

    numbers = "f" in predictions.dtype.kind + references.dtype.kind
    for name in names:
        _check_fits(name, numbers, label_names is not None and lengths is not None)
    sizes = [len(references)] if lengths is None else list(lengths)
    assert len(predictions) == len(references) == sum(sizes) > 0, (len(predictions), len(references), sum(sizes))
    assert np.isfinite(references).all(), "a reference is not finite"
    assert numbers or min(predictions.min(), references.min()) >= 0, "a class is negative"
    cuts = np.cumsum(sizes)[:-1]
    rows = {"predictions": np.split(predictions, cuts), "references": np.split(references, cuts)}
    return {name: metric_class(name)().compute(**rows, label_names=label_names)[name] for name in names}


def _check_fits(name: str, numbers: bool, sentences: bool) -> None:
    needed = takes(name)
    if numbers and needed != "numbers":
        raise UserError(f"metric {name!r} is for classes, not for numbers: use one of {', '.join(_NUMBERS)}")
    if needed == "entities" and not sentences:
        raise UserError(f"metric {name!r} is for token tasks: use one of {', '.join(_CLASSES)}")
