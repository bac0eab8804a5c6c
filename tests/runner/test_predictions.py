"""Predictions beside a record: every evaluated split's logits, as narrow as they may be without a change that shows."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from peftcli.runner import predictions
from tests import tiny


@pytest.mark.filterwarnings("ignore:overflow")  # numpy says so of the third
@pytest.mark.parametrize(
    ("logits", "dtype"),
    [
        ([[0.1, -2.0], [3.0, 1.0]], np.float16),
        ([[1.0, 1.0001], [3.0, 1.0]], np.float32),  # float16 would make a tie of the first row, and its class another
        ([[70_000.0, 1.0], [3.0, 1.0]], np.float32),  # beyond float16's largest number
        ([2.5, 4.0], np.float32),  # a regression's numbers are what is scored
    ],
)
def test_logits_are_narrow_where_nothing_that_shows_is_lost(logits: list[object], dtype: type) -> None:
    wide = np.array(logits, dtype=np.float64)
    narrow = predictions.narrow(wide)
    assert narrow.dtype == dtype
    np.testing.assert_array_equal(narrow.argmax(-1), wide.argmax(-1))
    np.testing.assert_allclose(narrow, wide, rtol=1e-3)


def test_a_run_s_own_row_is_written_with_its_examples(tmp_path: Path) -> None:
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("full", rate, steps=3) for rate in (1e-3, 1e-2)])
    state = tiny.trained(cohort)
    file = predictions.write(tmp_path / "tiny" / "full-0.json", cohort, state, 1)
    examples = cohort.data[1].evaluation["validation"]
    with safe_open(file, "numpy") as opened:
        assert opened.metadata() == {"run": cohort.runs[1].id}
        assert set(opened.keys()) == {"validation.logits", "validation.numbers", "validation.labels"}
        np.testing.assert_allclose(
            opened.get_tensor("validation.logits"), state.scored[1]["validation"].logits, rtol=1e-3, atol=1e-3
        )
        np.testing.assert_array_equal(opened.get_tensor("validation.numbers"), examples.numbers)
        np.testing.assert_array_equal(opened.get_tensor("validation.labels"), examples.labels)
        right = opened.get_tensor("validation.logits").argmax(-1) == opened.get_tensor("validation.labels")
    assert float(right.mean()) == pytest.approx(state.histories[1].evaluations[-1]["accuracy"])


def test_a_token_task_s_words_are_written_with_how_many_each_sentence_has(tmp_path: Path) -> None:
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("full", steps=2)], "token")
    file = predictions.write(tmp_path / "tiny" / "full-0.json", cohort, tiny.trained(cohort), 0)
    examples = cohort.data[0].evaluation["validation"]
    with safe_open(file, "numpy") as opened:
        lengths, logits = opened.get_tensor("validation.lengths"), opened.get_tensor("validation.logits")
        assert len(lengths) == len(opened.get_tensor("validation.numbers")) == len(examples)
    assert lengths.sum() == len(logits) == len(examples.labels)
    np.testing.assert_array_equal(np.cumsum(lengths), examples.word_starts[1:])


@pytest.mark.parametrize("logits", [[[1e6, -1e6]], [[1e300, 0.0], [0.0, 1.0]], [1e300, -1e300]])
def test_numbers_beyond_a_format_are_no_warning_of_numpy_s(logits: list[object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        narrow = predictions.narrow(np.array(logits, dtype=np.float64))
    assert narrow.dtype == np.float32
