"""Every text format shows what is missing or amiss, the best in its dress, and what is far from the printed number."""

import re
from pathlib import Path

import pytest

from peftcli.report import report as reporting
from tests.report.formats.incomplete import incomplete
from tests.written_records import fill, from_published, load, small

TEXTS = ("terminal", "markdown", "latex")


@pytest.mark.parametrize("form", [*TEXTS, "html"])
def test_what_is_incomplete_shows_in_every_text(tmp_path: Path, form: str) -> None:
    text = reporting.report(incomplete(tmp_path), tmp_path, form)
    plain = re.sub(r"</?\w+[^>]*>|\\textsuperscript|[{}*\\]", " ", text)
    for words in ("n=1", "m2", "n=2", "d1", "f1", "missing", "m3", "3 of 4"):
        assert words in plain, words
    for words in ("Not run yet (5)", "Diverged (1)", "Failed (1)", "wnli full lr=0.001 seed=0", "No average of full"):
        assert words in " ".join(plain.split()), words


def test_the_best_is_bold_and_the_second_underlined(tmp_path: Path) -> None:
    table = {"ranks": "best and second"}
    made = small(tasks=["rte"], learning_rates=[1e-3], strategies=["full", "layernorm", "bitfit"], table=table)
    means = {"full": 0.7, "layernorm": 0.8, "bitfit": 0.75}
    fill(made, tmp_path, lambda run: means[run.strategy])
    text = reporting.report(made, tmp_path, "markdown")
    assert "| 70.0±0.0 |" in text
    assert "| **80.0±0.0** |" in text
    assert "| <ins>75.0±0.0</ins> |" in text
    text = reporting.report(made, tmp_path, "latex")
    assert r"\textbf{80.0$\pm$0.0}" in text
    assert r"\underline{75.0$\pm$0.0}" in text


@pytest.mark.parametrize(("form", "sign"), [("terminal", "‡"), ("markdown", "‡"), ("latex", r"$\ddagger$")])
def test_a_cell_far_from_the_printed_one_is_marked_when_asked(tmp_path: Path, form: str, sign: str) -> None:
    made = load("transferability/table2")
    from_published(made, tmp_path, lambda cell: (cell.mean or 0) - (5 if cell.strategy == "full" else 0))
    text = reporting.report(made, tmp_path, form, True)
    assert text.count(sign) == 3 + 2, "the cells of one strategy, the legend, and how many are marked"
    assert "3 of 15 cells marked as other than printed; about 0.75 are expected by chance" in " ".join(text.split())
    assert text.count("-5.0") == 3
    assert sign not in reporting.report(made, tmp_path, form)
