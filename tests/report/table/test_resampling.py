"""Pairs over seeds and examples together: from kept predictions to the interval of a plain loop, and what cannot be told."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy import stats

from peftcli.errors import UserError
from peftcli.report.table import resampling
from tests.report.table.kept import LABELS, ONE, QUALITY, answers, compare, keep, kept_file
from tests.written_records import runs, small


def test_the_interval_equals_a_plain_loop_s(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], **ONE)
    keep(recipe, tmp_path, LABELS, answers)
    (together,) = compare(recipe, tmp_path)
    right = {}
    for strategy in QUALITY:
        read = [load_file(kept_file(recipe, tmp_path, strategy, seed)) for seed in range(3)]
        right[strategy] = 100 * np.array([each["validation.logits"].argmax(-1) == LABELS for each in read])
    each = right["layernorm"].astype(float) - right["full"]  # [seeds, examples], in points
    # A mean's variance over resamples is known without drawing: that of its examples over their number.
    of_seeds, of_examples = each.mean(1).var(ddof=1) / 3, each.mean(0).var(ddof=1) / 120
    both = sum((row - each.mean(0)).var(ddof=1) for row in each) / (3 * 2 * 120)
    variance = max(of_seeds - both, 0) + of_examples
    freedom = variance**2 / (of_seeds**2 / 2 + of_examples**2 / 119)
    half = max(stats.t.ppf(0.975, freedom) * variance**0.5, stats.t.ppf(0.975, 2) * of_seeds**0.5)
    assert together.joint is not None
    assert together.joint.estimate == pytest.approx(each.mean())
    # A thousand resamples know a deviation to 2 %.
    assert together.joint.high - each.mean() == pytest.approx(half, rel=0.07)
    assert (together.joint.examples, together.why_not) == (120, "")


@pytest.mark.parametrize("task", ["cola", "stsb", "mrpc", "conll2003"])
def test_every_kind_of_task_has_one(tmp_path: Path, task: str) -> None:
    recipe = small(tasks=[task], **ONE)
    source = np.random.default_rng(1)
    lengths = source.integers(1, 9, 40) if task == "conll2003" else None
    labels = (
        source.random(100) * 5 if task == "stsb" else source.integers(0, 2, 100 if lengths is None else lengths.sum())
    )

    def noisy(run: Any, own: np.random.Generator) -> Any:
        worse = 0.1 + 0.1 * (run.strategy == "full") + run.seed / 100
        if task == "stsb":
            return labels + own.normal(0, 10 * worse, 100)
        return np.where(own.random(len(labels)) < worse, 1 - labels, labels)

    keep(recipe, tmp_path, labels, noisy, lengths)
    (together,) = compare(recipe, tmp_path)
    assert together.joint is not None
    assert together.joint.low < together.joint.estimate < together.joint.high
    assert together.joint.examples == (100 if lengths is None else 40)


def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], **ONE)
    keep(recipe, tmp_path, LABELS, answers)
    file = kept_file(recipe, tmp_path, "full", 1)
    parts = load_file(file)

    def why_not(**changed: Any) -> str:
        save_file(parts | {f"validation.{name}": part for name, part in changed.items()}, file)
        (together,) = compare(recipe, tmp_path)
        assert together.joint is None
        return together.why_not

    assert why_not(numbers=np.arange(120) + 1) == "its runs were evaluated on different examples"
    wrong = np.eye(2, dtype=np.float16)[1 - LABELS]
    assert why_not(logits=wrong) == "predictions do not come to the recorded score"
    file.unlink()
    assert compare(recipe, tmp_path)[0].why_not == "predictions were kept of 2 of 3 runs"
    for seed in (0, 2):
        kept_file(recipe, tmp_path, "full", seed).unlink()
    assert compare(recipe, tmp_path)[0].why_not == "predictions were kept of one of the two alone"
    for seed in range(3):
        kept_file(recipe, tmp_path, "layernorm", seed).unlink()
    assert compare(recipe, tmp_path)[0].why_not == "no predictions were kept"


def test_two_strategies_on_other_examples_are_not_compared(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], **ONE)
    keep(recipe, tmp_path, LABELS, answers)
    for seed in range(3):
        file = kept_file(recipe, tmp_path, "full", seed)
        save_file(load_file(file) | {"validation.numbers": np.arange(120) + 1}, file)
    assert compare(recipe, tmp_path)[0].why_not == "the two were evaluated on different examples"


def test_words_without_their_sentences_are_not_drawn(tmp_path: Path) -> None:
    recipe = small(tasks=["conll2003"], **ONE)
    lengths, labels = np.full(20, 5), np.arange(100) % 3
    keep(recipe, tmp_path, labels, lambda run, own: np.where(own.random(100) < 0.2, 0, labels), lengths)
    for run in runs(recipe):
        file = kept_file(recipe, tmp_path, run.strategy, run.seed)
        save_file({name: part for name, part in load_file(file).items() if "lengths" not in name}, file)
    assert compare(recipe, tmp_path)[0].why_not == "predictions of an earlier version do not tell a sentence's words"


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], **ONE)
    keep(recipe, tmp_path, LABELS, answers)
    kept_file(recipe, tmp_path, "full", 0).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"predictions .* cannot be read"):
        compare(recipe, tmp_path)


def test_what_takes_long_is_said_once(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    recipe = small(**ONE)
    keep(recipe, tmp_path, LABELS, answers)
    compare(recipe, tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(resampling, "PATIENCE", -1.0)
    compare(recipe, tmp_path)
    assert re.fullmatch(
        r"resampling the examples of 2 differences: 1 done, about \d+ s to go\n", capsys.readouterr().err
    )
