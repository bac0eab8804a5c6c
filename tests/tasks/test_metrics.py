"""Metrics against scikit-learn, scipy and seqeval, random and degenerate inputs; and that they leave nothing behind."""

import math
import os
import random
import subprocess
import sys
from pathlib import Path

import evaluate
import numpy as np
import pytest
import seqeval.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from peftcli.errors import UserError
from peftcli.tasks import metrics
from peftcli.tasks.registry import TASKS

ROOT = Path(__file__).resolve().parents[2]
NER = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
IOBES = (*NER, "E-PER", "S-PER", "E-LOC", "S-LOC", "B", "I")
CORRELATIONS = ("pearson", "spearman", "mean_pearson_spearman")

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' own, of undefined values


def sklearn_scores(predictions, references) -> dict[str, float]:
    scores = {
        "accuracy": sklearn_metrics.accuracy_score(references, predictions),
        "f1_macro": sklearn_metrics.f1_score(references, predictions, average="macro"),
        "f1_micro": sklearn_metrics.f1_score(references, predictions, average="micro"),
        "matthews": sklearn_metrics.matthews_corrcoef(references, predictions),
    }
    if max(*predictions, *references) <= 1:
        scores["f1"] = sklearn_metrics.f1_score(references, predictions)
        scores["mean_accuracy_f1"] = (scores["accuracy"] + scores["f1"]) / 2
    return scores


def scipy_scores(predictions, references) -> dict[str, float]:
    pearson = stats.pearsonr(predictions, references).statistic if len(references) > 1 else math.nan
    spearman = stats.spearmanr(predictions, references).statistic
    pearson, spearman = (0.0 if math.isnan(value) else value for value in (pearson, spearman))
    return {"pearson": pearson, "spearman": spearman, "mean_pearson_spearman": (pearson + spearman) / 2}


def seqeval_f1(predictions, references, lengths, names) -> float:
    def sentences(labels):
        return [[names[label] for label in part] for part in np.split(labels, np.cumsum(lengths)[:-1])]

    return seqeval.metrics.f1_score(sentences(references), sentences(predictions))


def entity_f1(predicted: list[str], true: list[str], lengths: list[int] | None = None) -> float:
    names = sorted({*predicted, *true})
    indices = [np.array([names.index(label) for label in labels]) for labels in (predicted, true)]
    return metrics.compute(["entity_f1"], *indices, names, lengths or [len(true)])["entity_f1"]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data(), st.integers(1, 30), st.integers(1, 4))
def test_class_metrics_are_scikit_learns(data, examples, classes):
    labels = st.lists(st.integers(0, classes - 1), min_size=examples, max_size=examples).map(np.array)
    predictions, references = data.draw(labels), data.draw(labels)
    expected = sklearn_scores(predictions, references)
    assert metrics.compute(list(expected), predictions, references) == pytest.approx(expected, abs=1e-15)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data(), st.integers(1, 30))
def test_correlations_are_scipys_or_zero(data, examples):
    few = st.sampled_from([0.0, 1.0, 2.5, 5.0])  # ties and constants; any float: NaN, infinities and overflow
    predictions = np.array(data.draw(st.lists(few | st.floats(), min_size=examples, max_size=examples)))
    references = np.array(data.draw(st.lists(few, min_size=examples, max_size=examples)))
    scores = metrics.compute(CORRELATIONS, predictions, references)
    assert scores == pytest.approx(scipy_scores(predictions, references), abs=1e-15)
    assert all(math.isfinite(score) and abs(score) <= 1 + 1e-12 for score in scores.values())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data(), st.lists(st.integers(0, 8), min_size=1, max_size=6).filter(any), st.sampled_from([NER, IOBES]))
def test_entity_f1_is_seqevals(data, lengths, names):
    tokens = sum(lengths)
    labels = st.lists(st.integers(0, len(names) - 1), min_size=tokens, max_size=tokens).map(np.array)
    references = data.draw(labels)
    changed = data.draw(st.lists(st.booleans(), min_size=tokens, max_size=tokens))
    predictions = np.where(changed, data.draw(labels), references)
    score = metrics.compute(["entity_f1"], predictions, references, names, lengths)["entity_f1"]
    assert score == pytest.approx(seqeval_f1(predictions, references, lengths, names), abs=1e-12)


def test_large_random_inputs_agree():
    generator = np.random.default_rng(0)
    references = generator.integers(0, 5, 5000)
    predictions = np.where(generator.random(5000) < 0.7, references, generator.integers(0, 5, 5000))
    lengths = [20] * 250
    expected = sklearn_scores(predictions, references)
    expected["entity_f1"] = seqeval_f1(predictions, references, lengths, NER)
    assert 0.3 < expected["entity_f1"] < 0.9
    assert metrics.compute(list(expected), predictions, references, NER, lengths) == pytest.approx(expected, abs=1e-14)
    noisy = references + generator.normal(size=5000)
    assert metrics.compute(CORRELATIONS, noisy, references) == pytest.approx(scipy_scores(noisy, references), abs=1e-15)


def test_values_worked_out_by_hand():
    binary = metrics.compute(
        ["accuracy", "f1", "f1_macro", "matthews", "mean_accuracy_f1"], np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])
    )
    expected = {"accuracy": 3 / 4, "f1": 2 / 3, "f1_macro": (2 / 3 + 4 / 5) / 2, "matthews": 2 / math.sqrt(12)}
    assert binary == pytest.approx(expected | {"mean_accuracy_f1": 17 / 24})
    numbers = metrics.compute(CORRELATIONS, np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    pearson = 3 / math.sqrt(2 * 14 / 3)
    assert numbers == pytest.approx({"pearson": pearson, "spearman": 1.0, "mean_pearson_spearman": (pearson + 1) / 2})


def test_macro_f1_is_over_the_labels_that_occur():
    scores = metrics.compute(["f1_macro", "f1_micro"], np.array([0, 1, 3]), np.array([0, 0, 3]))
    assert scores == pytest.approx({"f1_macro": (2 / 3 + 0 + 1) / 3, "f1_micro": 2 / 3})


@pytest.mark.parametrize(
    ("predicted", "true", "score"),
    [
        ("B-PER I-PER O", "B-PER I-PER O", 1),
        ("I-PER I-PER O", "B-PER I-PER O", 1),  # an I begins an entity after O
        ("B-PER O O", "B-PER I-PER O", 0),  # a part of an entity is none
        ("B-PER I-LOC O", "B-PER O O", 2 / 3),  # an I of another type begins another
        ("B-PER B-PER O", "B-PER I-PER O", 0),
        ("O O O", "B-PER I-PER O", 0),
        ("B-PER I-PER O", "O O O", 0),
        ("O O O", "O O O", 0),  # nothing to find and nothing found: zero, as seqeval has it
    ],
)
def test_entities_by_hand(predicted, true, score):
    assert entity_f1(predicted.split(), true.split()) == pytest.approx(score)


def test_an_entity_ends_with_its_sentence():
    true = ["O", "B-PER", "I-PER", "O"]
    assert entity_f1(true, true, [2, 2]) == 1
    assert entity_f1(["O", "B-PER", "B-PER", "O"], true, [4]) == 0
    assert entity_f1(["O", "B-PER", "B-PER", "O"], true, [2, 2]) == 1
    assert entity_f1(["O", "B-PER", "B-PER", "O"], true, [2, 0, 2, 0]) == 1


@pytest.mark.parametrize("constant", [0, 1])
def test_one_class_only(constant):
    same, mixed = np.full(4, constant), np.array([0, 1, 0, 1])
    names = ["accuracy", "f1", "f1_macro", "f1_micro", "matthews", "mean_accuracy_f1"]
    for predictions, references in ((same, same), (same, mixed), (mixed, same), (same, 1 - same)):
        scores = metrics.compute(names, predictions, references)
        assert scores == pytest.approx(sklearn_scores(predictions, references))
        assert scores["matthews"] == 0.0


@pytest.mark.parametrize(
    ("predictions", "references"),
    [([2.5] * 3, [1, 2, 3]), ([1, 2, 3], [4] * 3), ([math.nan, 2, 3], [1, 2, 3]), ([2], [1])],
)
def test_a_correlation_without_a_value_is_zero(predictions, references):
    scores = metrics.compute(CORRELATIONS, np.array(predictions, dtype=float), np.array(references, dtype=float))
    assert scores == dict.fromkeys(CORRELATIONS, 0.0)


def test_an_infinite_prediction_still_has_a_rank():
    scores = metrics.compute(CORRELATIONS, np.array([1.0, 2.0, math.inf]), np.array([1.0, 2.0, 3.0]))
    assert scores == pytest.approx({"pearson": 0.0, "spearman": 1.0, "mean_pearson_spearman": 0.5})


def test_values_are_python_floats_for_any_dtype():
    for dtype in (np.int8, np.int64, np.bool_):
        scores = metrics.compute(["accuracy", "matthews"], np.array([0, 1, 1], dtype), np.array([0, 1, 0], dtype))
        assert [type(score) for score in scores.values()] == [float, float]
        assert scores == pytest.approx({"accuracy": 2 / 3, "matthews": 0.5})
    # neither side is rounded on its way: values closer than float32 tells apart keep their order
    close = 1 + np.arange(5) * 1e-12
    assert metrics.compute(["spearman"], close, close[::-1].copy())["spearman"] == pytest.approx(-1)
    single = np.array([0.1, 0.7, 0.3], np.float32)
    assert type(metrics.compute(["pearson"], single, single)["pearson"]) is float


@pytest.mark.parametrize(
    ("names", "predictions", "message"),
    [
        (["acuracy"], np.array([0, 1]), "unknown metric 'acuracy': did you mean 'accuracy'? known: accuracy, f1, "),
        (["accuracy"], np.array([0.5, 1.5]), "metric 'accuracy' is for classes, not for numbers: use one of pearson, "),
        (["accuracy"], np.array([0, 1], np.float32), "metric 'accuracy' is for classes, not for numbers: use one of "),
        (["f1"], np.array([0, 2]), "metric 'f1' is for two classes, not for label 2: use f1_macro or f1_micro"),
        (["entity_f1"], np.array([0, 1]), "metric 'entity_f1' is for token tasks: use one of accuracy, "),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_in_a_line(names, predictions, message):
    with pytest.raises(UserError) as error:
        metrics.compute(names, predictions, np.array([0, 1]))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("label", ["PER", "X-PER", "B_PER", "o", ""])
def test_labels_that_mark_no_entities_are_refused(label):
    with pytest.raises(UserError, match=rf"entity_f1.*not '{label}'$"):
        entity_f1([label, "O"], ["O", "O"])


@pytest.mark.parametrize(
    ("label", "mend"),
    [("1", r"labels: \[O, B-PER, \.\.\.\] in a recipe"), ("L-X", "L- and U- as E- and S-"), ("U-X", "as E- and S-")],
)
def test_labels_of_other_forms_are_refused_with_what_to_do(label, mend):
    with pytest.raises(UserError, match=rf"entity_f1.*not '{label}': .*{mend}"):
        entity_f1([label, "O"], ["O", "O"])


def test_names_are_those_the_tasks_use():
    assert set(metrics.NAMES) == {name for task in TASKS.values() for name in task.metrics}
    for task in TASKS.values():
        kinds = {metrics.takes(name) for name in task.metrics}
        assert kinds <= ({"numbers"} if task.kind == "regression" else {"classes", "entities"})
        assert "entities" not in kinds or task.kind == "token"


@pytest.mark.parametrize("name", metrics.NAMES)
def test_each_metric_is_an_evaluate_metric(name):
    metric = metrics.metric_class(name)()
    assert isinstance(metric, evaluate.Metric)
    assert (metric.keep_in_memory, metric.name) == (True, name)


def test_random_states_stay_as_they_were():
    def states():
        return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()

    before = states()
    metrics.compute(["accuracy"], np.array([0, 1]), np.array([0, 1]))
    assert states() == before


def test_importing_the_names_is_cheap():
    heavy = {"numpy", "pandas", "scipy", "torch", "transformers", "evaluate"}
    code = f"import sys, peftcli.tasks.metrics as m; print(len(m.NAMES), m.takes('f1'), {heavy} & {{*sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "10 classes set()\n"


QUIET = """
import socket, sys
def refuse(*arguments, **options): raise AssertionError("a network connection")
socket.socket.connect = socket.getaddrinfo = refuse
import numpy as np
from peftcli.tasks import metrics
zeros = np.zeros(6, dtype=int)
metrics.compute([n for n in metrics.NAMES if metrics.takes(n) == "classes"], zeros, zeros)
metrics.compute(["entity_f1", "f1_macro"], zeros, zeros, ["O"], [3, 3])
metrics.compute([n for n in metrics.NAMES if metrics.takes(n) == "numbers"], np.array([1.0, np.inf, 2.0]), np.arange(3))
metrics.compute([n for n in metrics.NAMES if metrics.takes(n) == "numbers"], np.ones(3), np.arange(3))
"""


@pytest.mark.whole  # a process that imports every metric anew
def test_neither_files_nor_network_nor_warnings(tmp_path):
    folders = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME")}
    command = [sys.executable, "-W", "always::RuntimeWarning", "-W", "always::UserWarning", "-c", QUIET]
    environment = os.environ | folders | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
