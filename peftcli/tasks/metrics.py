"""The metrics: local `evaluate.Metric` subclasses over scikit-learn and scipy. Every one is better when larger.

Importing this module costs nothing: recipes check metric names against `NAMES`, and the libraries are imported at first
use. `import evaluate` takes seconds in an empty process, for it imports torch and transformers' pipelines, and some 50 ms
where a model has been loaded. No part of it can be imported without the rest.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from peftcli.errors import UserError, unknown

if TYPE_CHECKING:
    from evaluate import Metric, MetricInfo
    from numpy import ndarray

Score = Callable[["ndarray", "ndarray"], float]  # (predictions [examples], references [examples]) -> fraction


def _sklearn(name: str, **options: Any) -> Score:
    """Return the score that scikit-learn has under this name."""

    def score(predictions: ndarray, references: ndarray) -> float:
        """What scikit-learn's function says of predictions beside references."""
        from sklearn import metrics

        return float(getattr(metrics, name)(references, predictions, **options))

    return score


def _scipy(name: str) -> Score:
    """Return the correlation that scipy has under this name, 0 where it is not defined."""

    def score(predictions: ndarray, references: ndarray) -> float:
        """The correlation of predictions with references."""
        from scipy import stats

        if len(references) < 2:  # pearsonr refuses a single pair, and spearmanr returns NaN for it
            return 0.0
        correlation = float(getattr(stats, name)(predictions, references).statistic)
        return correlation if math.isfinite(correlation) else 0.0

    return score


def _mean(first: Score, second: Score) -> Score:
    return lambda predictions, references: (first(predictions, references) + second(predictions, references)) / 2


def _binary_f1(predictions: ndarray, references: ndarray) -> float:
    largest = max(predictions.max(), references.max())
    if largest > 1:
        raise UserError(f"metric 'f1' is for two classes, not for label {largest}: use f1_macro or f1_micro")
    return _sklearn("f1_score", zero_division=0)(predictions, references)


def _entity_f1(predictions: list[ndarray], references: list[ndarray], label_names: Sequence[str]) -> float:
    """F1 over whole entities, by the rules of seqeval's default mode: type, first and last token must all be right."""
    predicted, true = entities(predictions, label_names), entities(references, label_names)
    if not predicted and not true:
        return 0.0
    return 2 * len(predicted & true) / (len(predicted) + len(true))


def entities(sentences: list[ndarray], label_names: Sequence[str]) -> set[tuple[str, int, int]]:
    """Return type, first and last token of every entity, the tokens counted through all sentences.

    The rules are conlleval's: an I that does not continue an entity of its type begins one. IOBES (E ends an entity, S
    is one of a single token) is read too.
    """
    import numpy as np

    labels = np.concatenate(sentences)  # [tokens]
    sentence = np.repeat(np.arange(len(sentences)), [len(tokens) for tokens in sentences])  # [tokens]
    prefixes, types = zip(*map(_prefix_and_type, label_names), strict=True)
    prefix, kind = np.array(prefixes)[labels], np.array(types)[labels]  # [tokens] each
    inside = prefix != "O"
    # Whether a token belongs to the entity of the token before it: [tokens + 1], since the last token has a successor
    # that never does, which lets one slice ask about a token and the other about the token behind it.
    continues = np.zeros(len(labels) + 1, dtype=bool)
    continues[1:-1] = (
        np.isin(prefix[:-1], ["B", "I"])
        & np.isin(prefix[1:], ["I", "E"])
        & (kind[:-1] == kind[1:])
        & (sentence[:-1] == sentence[1:])
    )
    first, last = np.flatnonzero(inside & ~continues[:-1]), np.flatnonzero(inside & ~continues[1:])
    return set(zip(kind[first].tolist(), first.tolist(), last.tolist(), strict=True))


def _prefix_and_type(label: str) -> tuple[str, str]:
    match = re.fullmatch(r"(O)|([BIES])(?:-(.*))?", label)
    if match is None:
        mend = ""
        if label.isdecimal():
            mend = ": the task's labels: [O, B-PER, ...] in a recipe says what the numbers mean"
        elif label.startswith(("L-", "U-")):
            mend = ": write BILOU's L- and U- as E- and S-"
        raise UserError(f"metric 'entity_f1' reads labels like O, B-PER, I-PER, not {label!r}{mend}")
    return match[1] or match[2], match[3] or "_"


# Metrics by what they compare. zero_division: no positive prediction or reference counts as 0, without a warning.
_CLASSES: dict[str, Score] = {
    "accuracy": _sklearn("accuracy_score"),
    "f1": _binary_f1,
    "f1_macro": _sklearn("f1_score", average="macro", zero_division=0),
    "f1_micro": _sklearn("f1_score", average="micro", zero_division=0),
    "matthews": _sklearn("matthews_corrcoef"),
    "mean_accuracy_f1": _mean(_sklearn("accuracy_score"), _binary_f1),
}
_NUMBERS: dict[str, Score] = {
    "pearson": _scipy("pearsonr"),
    "spearman": _scipy("spearmanr"),
    "mean_pearson_spearman": _mean(_scipy("pearsonr"), _scipy("spearmanr")),
}
NAMES: tuple[str, ...] = (*_CLASSES, *_NUMBERS, "entity_f1")


def takes(name: str) -> Literal["classes", "numbers", "entities"]:
    """Return what a metric compares: class indices, real numbers, or entities in the sentences of a token task.

    Raises UserError for a name that is not in `NAMES`.
    """
    if name not in NAMES:
        raise unknown("metric", name, NAMES)
    return "classes" if name in _CLASSES else "numbers" if name in _NUMBERS else "entities"


@cache
def metric_class(name: str) -> type[Metric]:
    """Return the `evaluate.Metric` subclass of a name. It touches neither the network nor the disk.

    Its `compute(predictions=…, references=…)` takes lists of rows, `[sentences][tokens]`, or one row with all examples
    where there are no sentences (a row is stored at once: 0.03 s for 50,000 labels, not 0.11 s); for entity_f1 also
    `label_names=…`. Use a new instance each time: one that refused its inputs keeps them.
    Raises UserError for a name that is not in `NAMES`.
    """
    import datasets
    import evaluate

    row = datasets.List(datasets.Value("float64" if takes(name) == "numbers" else "int64"))

    class Local(evaluate.Metric):  # type: ignore[misc]  # it has no types
        def __init__(self) -> None:
            # Without a seed of its own a metric takes one from numpy's global random state.
            super().__init__(keep_in_memory=True, seed=0)

        def _info(self) -> MetricInfo:
            features = datasets.Features({"predictions": row, "references": row})
            return evaluate.MetricInfo(description=name, citation="", inputs_description="", features=features)

        def _build_data_dir(self) -> str:
            return ""  # the parent would create a folder in the user's cache, even with keep_in_memory

        def _compute(self, *, predictions: Any, references: Any, label_names: Any = None) -> dict[str, float]:
            return {name: _score(name, predictions, references, label_names)}

    Local.__name__ = name.title().replace("_", "")
    return Local


def _score(name: str, predictions: list[Any], references: list[Any], label_names: Sequence[str] | None) -> float:
    import numpy as np

    dtype = np.float64 if takes(name) == "numbers" else np.int64
    predicted, true = ([np.asarray(row, dtype=dtype) for row in rows] for rows in (predictions, references))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # about undefined values, which `compute` defines
        if name == "entity_f1":
            assert label_names is not None, "entity_f1 needs label names"
            return _entity_f1(predicted, true, label_names)
        return {**_CLASSES, **_NUMBERS}[name](np.concatenate(predicted), np.concatenate(true))


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

    numbers = "f" in predictions.dtype.kind + references.dtype.kind  # regression has floats on at least one side
    for name in names:
        _check_fits(name, numbers, label_names is not None and lengths is not None)
    sizes = [len(references)] if lengths is None else list(lengths)
    assert len(predictions) == len(references) == sum(sizes) > 0, (len(predictions), len(references), sum(sizes))
    assert np.isfinite(references).all(), "a reference is not finite"
    assert numbers or min(predictions.min(), references.min()) >= 0, "a class is negative"
    cuts = np.cumsum(sizes)[:-1]  # where one sentence ends and the next begins; empty without sentences
    rows = {"predictions": np.split(predictions, cuts), "references": np.split(references, cuts)}
    return {name: metric_class(name)().compute(**rows, label_names=label_names)[name] for name in names}


def _check_fits(name: str, numbers: bool, sentences: bool) -> None:
    needed = takes(name)
    if numbers and needed != "numbers":
        raise UserError(f"metric {name!r} is for classes, not for numbers: use one of {', '.join(_NUMBERS)}")
    if needed == "entities" and not sentences:
        raise UserError(f"metric {name!r} is for token tasks: use one of {', '.join(_CLASSES)}")
