"""Rendering: every format shows the same numbers, what is missing or amiss in each, and is well formed."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas
import pytest

from peftcli.experiment.recipe import Recipe
from peftcli.report import report as reporting
from peftcli.report.formats import latex, markdown
from tests.written_records import TABLES, fill, from_published, load, runs, score_of, small, unsynced, write

TEXTS = ("terminal", "markdown", "latex")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name in ("transferability/table4", "freezing/table1", "effectiveness/table1", "spafit/table2"):
        found[name] = tmp_path_factory.mktemp("records")
        from_published(load(name), found[name])
    return found


def incomplete(output: Path) -> Recipe:
    """One cell with 1 of 3 seeds, one with a diverged run, one with a failed one, and a task without any run."""
    made = small(
        tasks=["rte", "cola", "mrpc", "wnli"], strategies=["full"], learning_rates=[1e-3], table={"average": True}
    )
    with unsynced():
        for task, states in (("rte", "c"), ("cola", "ccd"), ("mrpc", "ccf")):
            for run, state in zip(runs(made, task=task), states, strict=False):
                names = {"c": "completed", "d": "diverged", "f": "failed"}
                metrics = dict.fromkeys(("accuracy", "matthews", "f1"), 0.5)
                write(output, run, {"validation": metrics}, names[state])
    return made


@pytest.mark.parametrize("form", [*TEXTS, "html"])
def test_what_is_incomplete_shows_in_every_text(tmp_path: Path, form: str) -> None:
    text = reporting.report(incomplete(tmp_path), tmp_path, form)
    plain = re.sub(r"</?\w+[^>]*>|\\textsuperscript|[{}*\\]", " ", text)
    for words in ("n=1", "m2", "n=2", "d1", "f1", "missing", "m3", "3 of 4"):
        assert words in plain, words
    for words in ("Not run yet (5)", "Diverged (1)", "Failed (1)", "wnli full lr=0.001 seed=0", "No average of full"):
        assert words in " ".join(plain.split()), words


def test_what_is_incomplete_shows_in_the_data(tmp_path: Path) -> None:
    made = incomplete(tmp_path)
    rows = {row["column"]: row for row in csv.DictReader(io.StringIO(reporting.report(made, tmp_path, "csv")))}
    counts = ("state", "n", "planned", "missing", "failed", "diverged")
    assert [rows["rte"][key] for key in counts] == ["incomplete", "1", "3", "2", "0", "0"]
    assert [rows["cola"][key] for key in counts] == ["incomplete", "2", "3", "0", "0", "1"]
    assert [rows["mrpc"][key] for key in counts] == ["incomplete", "2", "3", "0", "1", "0"]
    assert [rows["wnli"][key] for key in counts] == ["missing", "0", "3", "3", "0", "0"]
    assert (rows["wnli"]["mean"], rows["average"]["state"], rows["average"]["mean"]) == ("", "missing", "")
    document = json.loads(reporting.report(made, tmp_path, "json"))
    cells = {cell["column"]: cell for cell in document["cells"]}
    assert cells["cola"]["diverged"] == ["cola full lr=0.001 seed=2"]
    assert document["runs"] == {"completed": 5, "diverged": 1, "failed": 1, "damaged": 0, "missing": 5}
    assert "cola full lr=0.001 seed=2: diverged: loss or weights not finite at step 3" in document["troubles"]


def test_csv_and_json_carry_every_digit(tmp_path: Path) -> None:
    made = small(seeds=4)
    fill(made, tmp_path, score_of)
    frame = pandas.read_csv(io.StringIO(reporting.report(made, tmp_path, "csv")))
    cells = json.loads(reporting.report(made, tmp_path, "json"))["cells"]
    assert len(frame) == len(cells) == 4
    for row, cell in zip(frame.to_dict("records"), cells, strict=True):
        own = runs(made, strategy=row["strategy"], task=row["task"], learning_rate=row["learning_rate"])
        values = [100 * score_of(run) for run in own]
        for found in (row, cell):
            assert found["mean"] == pytest.approx(np.mean(values), rel=1e-15)
            assert found["std"] == pytest.approx(pandas.Series(values).std(), rel=1e-13)
            assert (found["n"], found["ddof"], found["unit"]) == (4, 1, "percent")
        assert cell["values"] == {str(run.seed): pytest.approx(v) for run, v in zip(own, values, strict=True)}


@pytest.mark.parametrize("against", [pytest.param(False, marks=pytest.mark.whole), True])
@pytest.mark.parametrize("name", ["transferability/table4", "freezing/table1", "effectiveness/table1", "spafit/table2"])
def test_terminal_lines_fit_100_columns_and_show_all(folders: dict[str, Path], name: str, against: bool) -> None:
    text = reporting.report(load(name), folders[name], "terminal", against)
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    body = json.loads(reporting.report(load(name), folders[name], "json"))
    decimals = body["view"]["decimals"]
    for cell in body["cells"]:
        shown = cell["mean"] if cell["mean"] is not None else cell["maximum"]
        assert f"{shown:.{decimals}f}" in text


def test_colours_are_for_terminals_and_no_color_takes_them_back(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "spafit/table2"
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = reporting.report(load(name), folders[name], "terminal", styled=True)
    assert re.search(r"\x1b\[[0-9;]*3[0-9]", coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    bold_only = reporting.report(load(name), folders[name], "terminal", styled=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", bold_only)
    plain = reporting.report(load(name), folders[name], "terminal")
    assert re.sub(r"\x1b\[[0-9;]*m", "", bold_only).split() == plain.split()


@pytest.mark.parametrize("name", ["transferability/table4", "freezing/table1", "effectiveness/table1"])
def test_markdown_tables_have_equal_columns(folders: dict[str, Path], name: str) -> None:
    text = reporting.report(load(name), folders[name], "markdown", True)
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) == 1 + (name != "transferability/table4")
    for table in tables:
        counts = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1
        assert set(table.splitlines()[1]) <= set("|:- ")


@pytest.mark.parametrize("name", ["transferability/table4", "freezing/table1", "effectiveness/table1"])
def test_latex_is_balanced_and_its_rows_are_full(folders: dict[str, Path], name: str) -> None:
    text = reporting.report(load(name), folders[name], "latex", True)
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


def test_outer_headings_span_their_columns_in_latex(folders: dict[str, Path]) -> None:
    text = reporting.report(load("transferability/table4"), folders["transferability/table4"], "latex")
    assert r" &  & \multicolumn{2}{c}{CoLA} & \multicolumn{2}{c}{MRPC} & " in text
    assert r"\cmidrule(lr){3-4}\cmidrule(lr){5-6}\cmidrule(lr){7-8}\cmidrule(lr){9-10}" in text


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
    assert text.count(sign) == 3 + 1, "the cells of one strategy, and the legend"
    assert text.count("-5.0") == 3
    assert sign not in reporting.report(made, tmp_path, form)


HOSTILE = "a|b_c*<script>$x^2$ \x1b[31m\n% \\end{table} & #1"


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    made = small(title=HOSTILE, strategies=[{"full": {"label": HOSTILE}}, "layernorm"], notes=[HOSTILE])
    fill(made, tmp_path, score_of)
    check_latex(reporting.report(made, tmp_path, "latex"))
    text = reporting.report(made, tmp_path, "markdown")
    assert "<script" not in text.replace("\\<", "")
    assert len({len(re.split(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}) == 1
    assert "\x1b" not in reporting.report(made, tmp_path, "terminal")
    assert json.loads(reporting.report(made, tmp_path, "json"))["title"] == HOSTILE


def test_escapes_are_what_the_languages_want() -> None:
    assert latex.escape("50% & $1 #2 a_b {x} ~ ^ \\ ±") == (
        r"50\% \& \$1 \#2 a\_b \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} $\pm$"
    )
    assert markdown.escape("a|b*c_d<e") == r"a\|b\*c\_d\<e"


@pytest.mark.parametrize("name", TABLES)
def test_a_report_on_nothing_is_a_report(tmp_path: Path, name: str) -> None:
    text = reporting.report(load(name), tmp_path, "terminal", True)
    assert "missing" in text
    assert "0 completed" not in text
    assert "not enough runs" in text
