"""Predictions are read back as they were written, and a damaged file is told from none."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from peftcli.errors import UserError
from peftcli.records import beside, predictions

RECORD = Path("full-0.json")
LOGITS, LABELS, NUMBERS = np.eye(2, dtype=np.float16)[[0, 1, 1]], np.array([0, 1, 0]), np.array([7, 8, 9])


def write(folder: Path, **more: np.ndarray) -> Path:
    parts = {"logits": LOGITS, "labels": LABELS, "numbers": NUMBERS, **more}
    save_file({f"validation.{name}": part for name, part in parts.items()}, beside.predictions(folder / RECORD))
    return folder / RECORD


def test_a_split_s_predictions_are_read_back(tmp_path: Path) -> None:
    read = predictions.read(write(tmp_path), "validation")
    assert read is not None
    np.testing.assert_array_equal(read.logits, LOGITS)
    np.testing.assert_array_equal(read.labels, LABELS)
    np.testing.assert_array_equal(read.numbers, NUMBERS)
    assert read.lengths is None


def test_a_token_task_s_have_the_words_of_each_sentence(tmp_path: Path) -> None:
    read = predictions.read(write(tmp_path, numbers=np.array([7, 8]), lengths=np.array([1, 2])), "validation")
    assert read is not None
    assert read.lengths is not None
    assert read.lengths.tolist() == [1, 2]


def test_no_file_and_another_split_are_none(tmp_path: Path) -> None:
    assert predictions.read(tmp_path / RECORD, "validation") is None
    assert predictions.read(write(tmp_path), "test") is None


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    file = beside.predictions(write(tmp_path))
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(UserError, match=r"predictions .*full-0.* cannot be read"):
        predictions.read(tmp_path / RECORD, "validation")
