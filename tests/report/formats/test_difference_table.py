"""The differences in words: scipy's p in brackets and its interval below, in every text format and in JSON."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from peftcli.report import report as reporting
from tests.written_records import fill, runs, score_of, small

TABLE = {"reference": "full"}


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html"])
def test_p_and_interval_are_in_every_text(tmp_path: Path, form: str) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3], seeds=5, table=TABLE)
    fill(made, tmp_path, score_of)
    ours, full = ([100 * score_of(run) for run in runs(made, strategy=name)] for name in ("layernorm", "full"))
    theirs = stats.ttest_rel(ours, full)
    low, high = theirs.confidence_interval(0.95)
    plain = re.sub(r"</?\w+[^>]*>|[{}\\]", "", reporting.report(made, tmp_path, form))
    assert f"{np.mean(ours) - np.mean(full):+.1f} ({theirs.pvalue:.2g})" in plain
    assert f"[{low:+.1f}, {high:+.1f}]" in plain
    assert "Difference from full (p), with its 95 % interval" in plain or form == "html"


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html"])
def test_two_seeds_have_neither(tmp_path: Path, form: str) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3], seeds=2, table=TABLE)
    fill(made, tmp_path, score_of)
    plain = re.sub(r"</?\w+[^>]*>|[{}\\]", "", reporting.report(made, tmp_path, form))
    ours, full = ([100 * score_of(run) for run in runs(made, strategy=name)] for name in ("layernorm", "full"))
    assert f"{np.mean(ours) - np.mean(full):+.1f}" in plain
    assert "No p: fewer than 3 seeds (everywhere)." in plain
    assert "(p)" not in plain
    assert "95 % interval" not in plain


def test_the_data_have_test_n_and_interval_of_every_difference(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3], seeds=5, table=TABLE)
    fill(made, tmp_path, score_of)
    rows = json.loads(reporting.report(made, tmp_path, "json"))["differences"]
    assert [row["column"] for row in rows] == ["rte", "cola"]
    for row in rows:
        names = ("layernorm", "full")
        ours, full = ([100 * score_of(run) for run in runs(made, task=row["column"], strategy=s)] for s in names)
        theirs = stats.ttest_rel(ours, full)
        assert (row["test"], row["n"], row["why_not"], row["level"]) == ("paired t", "5 pairs", "", 0.95)
        assert row["p_value"] == pytest.approx(theirs.pvalue)
        assert (row["low"], row["high"]) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
        assert row["difference"] == pytest.approx(np.mean(ours) - np.mean(full))
