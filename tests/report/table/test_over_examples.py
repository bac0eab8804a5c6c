"""Differences of a table over seeds and examples together: where they stand, in every format, and where there are none."""

import json
import re
from pathlib import Path

import pytest

from peftcli.records import beside
from peftcli.report import report as reporting
from tests.report.table.kept import LABELS, ONE, answers, compare, keep, kept_file
from tests.written_records import small


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html", "json"])
def test_every_format_has_the_interval(tmp_path: Path, form: str) -> None:
    recipe = small(tasks=["rte"], **ONE)
    keep(recipe, tmp_path, LABELS, answers)
    (together,) = compare(recipe, tmp_path)
    assert together.joint is not None
    text = reporting.report(recipe, tmp_path, form)
    if form == "json":
        (row,) = json.loads(text)["differences"]
        assert row["over_examples"]["high"] == pytest.approx(together.joint.high)
        assert (row["over_examples"]["examples"], row["over_examples"]["why_not"]) == (120, "")
        return
    plain = " ".join(re.sub(r"</?\w+[^>]*>|[{}\\]", "", text).split())
    assert f"[{together.joint.low:+.1f}, {together.joint.high:+.1f}]" in plain
    assert "other seeds on as many other examples" in plain


def test_where_no_predictions_were_kept_nothing_is_said(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], **ONE)
    keep(recipe, tmp_path, LABELS, answers)
    for file in tmp_path.glob(f"*/*{beside.PREDICTIONS}"):
        file.unlink()
    text = reporting.report(recipe, tmp_path, "terminal")
    assert "95 % interval" in text
    assert "examples" not in text.split("Difference from full")[1]


def test_two_seeds_have_none_and_nothing_is_read(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], seeds=2, **ONE)
    keep(recipe, tmp_path, LABELS, answers)
    kept_file(recipe, tmp_path, "full", 0).write_bytes(b"nothing")
    assert compare(recipe, tmp_path)[0].why_not == "fewer than 3 seeds"
