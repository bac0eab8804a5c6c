"""LaTeX: balanced, its rows full, outer headings over their columns, every sign printed as it is."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.report import report as reporting
from peftcli.report.formats import latex
from tests.written_records import load


@pytest.mark.parametrize("name", ["transferability/table4", "freezing/table1", "effectiveness/table1"])
def test_latex_is_balanced_and_its_rows_are_full(printed_records: Callable[[str], Path], name: str) -> None:
    text = reporting.report(load(name), printed_records(name), "latex", True)
    check_latex(text)
    assert text.isascii()


def check_latex(text: str) -> None:
    """Environments close in order, braces balance, every row has its tabular's columns, nothing is bare."""
    stack: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    bare = re.sub(r"\\[{}&%$#_]", "", text)
    depth = 0
    for sign in bare:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0
    assert bare.count("$") % 2 == 0
    assert "_" not in bare
    assert "#" not in bare
    for columns, body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", bare, re.DOTALL):
        for row in body.split(r"\\")[:-1]:
            spans = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", row)]
            assert row.count("&") + 1 + sum(spans) == len(columns), row


def test_outer_headings_span_their_columns_in_latex(printed_records: Callable[[str], Path]) -> None:
    text = reporting.report(load("transferability/table4"), printed_records("transferability/table4"), "latex")
    assert r" &  & \multicolumn{2}{c}{CoLA} & \multicolumn{2}{c}{MRPC} & " in text
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-6}\cmidrule(lr){7-8}\cmidrule(lr){9-10}" in text


def test_hostile_words_stay_words(tmp_path: Path, hostile: Recipe) -> None:
    check_latex(reporting.report(hostile, tmp_path, "latex"))


def test_signs_are_printed_as_they_are() -> None:
    assert latex.escape("50% & $1 #2 a_b {x} ~ ^ \\ ±") == (
        r"50\% \& \$1 \#2 a\_b \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} $\pm$"
    )
