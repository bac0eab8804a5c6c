"""Agreement: McNemar's test on kept predictions equals a count by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy import stats

from peftcli.errors import UserError
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run
from peftcli.records import beside
from peftcli.report.table import agreement
from tests.written_records import runs, small, tabulate, unsynced, write

LABELS = np.arange(60) % 2


def right(run: Run) -> Any:
    return np.random.default_rng([run.seed, len(run.strategy)]).random(60) < (0.6 if run.strategy == "full" else 0.85)


def fill(tmp_path: Path, **tensors: Any) -> Recipe:
    recipe = small(tasks=["rte"], learning_rates=[1e-3])
    with unsynced():
        for run in runs(recipe):
            record = write(tmp_path, run, {"validation": {"accuracy": float(right(run).mean())}})
            logits = np.eye(2, dtype=np.float16)[np.where(right(run), LABELS, 1 - LABELS)]
            parts = {"logits": logits, "labels": LABELS, "numbers": np.arange(60), **tensors}
            save_file({f"validation.{name}": part for name, part in parts.items()}, beside.predictions(record))
    return recipe


def compare(recipe: Recipe, tmp_path: Path) -> dict[int, Any]:
    table = tabulate(recipe, tmp_path)
    full, layernorm = table.cells()
    return agreement.compare(layernorm, full, tmp_path)


def test_mcnemar_counts_the_examples_that_one_alone_gets_right(tmp_path: Path) -> None:
    recipe = fill(tmp_path)
    tests = compare(recipe, tmp_path)
    assert list(tests) == [0, 1, 2]
    for seed, test in tests.items():
        full, layernorm = (right(run) for run in runs(recipe, seed=seed))
        only_full, only_layernorm = int((full & ~layernorm).sum()), int((layernorm & ~full).sum())
        assert test.statistic == only_layernorm - only_full
        assert test.p_value == pytest.approx(stats.binomtest(only_full, only_full + only_layernorm).pvalue)
        assert test.n == 60


def test_other_examples_or_none_are_not_compared(tmp_path: Path) -> None:
    recipe = fill(tmp_path)
    first = runs(recipe)[0]
    file = next(tmp_path.glob(f"rte/full-{first.id}{beside.PREDICTIONS}"))
    file.unlink()
    assert list(compare(recipe, tmp_path)) == [1, 2]
    logits, numbers = np.zeros((60, 2), dtype=np.float32), np.arange(60) + 1
    save_file({"validation.logits": logits, "validation.labels": LABELS, "validation.numbers": numbers}, file)
    assert list(compare(recipe, tmp_path)) == [1, 2]
    save_file({"validation.logits": logits[:, 0].copy()}, file)
    assert list(compare(recipe, tmp_path)) == [1, 2]


def test_a_regression_has_no_right_answers(tmp_path: Path) -> None:
    recipe = fill(tmp_path, logits=np.linspace(0, 5, 60, dtype=np.float32))
    assert compare(recipe, tmp_path) == {}


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    recipe = fill(tmp_path)
    next(tmp_path.glob(f"rte/full-*{beside.PREDICTIONS}")).write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"predictions .* cannot be read"):
        compare(recipe, tmp_path)
