"""A report in LaTeX: one table float with booktabs, notes below it, claims as a list."""

from collections.abc import Iterable, Iterator, Sequence

from peftcli.report.formats import answers, difference_table, over_tasks_table, text_table
from peftcli.report.formats import lines as words
from peftcli.report.formats.text_table import Line, Sheet, Text
from peftcli.report.summary import Report

# What LaTeX reads as a command, and what a plain engine has no letter for: the output is ASCII.
SIGNS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "*": "{*}",  # behind the end of a row, `\\*` and `\\[` would be commands
    "[": "{[}",
    "]": "{]}",
    '"': "''",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "✗": r"$\times$",
    "−": "$-$",
    "–": "--",
    "—": "---",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "ρ": r"$\rho$",
    "…": r"\dots{}",
}


def render(report: Report) -> str:
    """Write the report; it needs \\usepackage{booktabs} and nothing else."""
    sheet = text_table.make(report.table, report.against)
    below = [*sheet.legend, *sheet.notes, *filter(None, [words.runs(report), words.cost(report)])]
    said = words.imported(report)
    # Once for who reads the source, once for who reads the page.
    head = [f"% {escape(said)}"] if said else []
    below = [*([said] if said else []), *below]
    lines = [*head, r"% needs \usepackage{booktabs}", *_float(sheet, below)]
    for further in filter(
        None, (difference_table.make(report.table, report.over_examples), over_tasks_table.make(report.table))
    ):
        lines += _float(further, further.notes)
    return "\n".join([*lines, *_claims(report)]) + "\n"


def _float(sheet: Sheet, below: Sequence[str]) -> Iterator[str]:
    yield r"\begin{table}"
    # 3 points between columns and footnotes' size: ten tasks fit a page's width.
    yield r"\centering\footnotesize\setlength{\tabcolsep}{3pt}"
    yield rf"\caption{{{escape(sheet.title)}}}"
    yield from table(sheet)
    yield r"\par\medskip\begin{minipage}{\linewidth}\scriptsize"
    yield from (rf"{escape(line)}\par" for line in below)
    yield r"\end{minipage}"
    yield r"\end{table}"


def table(sheet: Sheet) -> Iterator[str]:
    """Write the tabular: words of the outer levels span the columns that share them."""
    yield rf"\begin{{tabular}}{{{'l' * len(sheet.stub)}{'r' * len(sheet.heads)}}}"
    yield r"\toprule"
    levels = max((len(head) for head in sheet.heads), default=1)
    for level in range(levels - 1):
        spans = list(_spans([head[level] for head in sheet.heads]))
        heads = [rf"\multicolumn{{{count}}}{{c}}{{{escape(word)}}}" for word, _, count in spans]
        yield _row([""] * len(sheet.stub) + heads)
        first = len(sheet.stub) + 1  # LaTeX counts columns from 1
        yield "".join(rf"\cmidrule(lr){{{first + at}-{first + at + count - 1}}}" for word, at, count in spans if word)
    yield _row([*map(escape, sheet.stub), *(escape(head[levels - 1] or "") for head in sheet.heads)])
    yield r"\midrule"
    for line in sheet.lines:
        yield _row(_dress(text, line) for text in line.cells)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def escape(text: str) -> str:
    """Make text print as it is."""
    return "".join(SIGNS.get(sign, sign) for sign in text)


def _spans(heads: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield each run of equal words: the word, where it starts, how many columns it covers."""
    start = 0
    for at in range(1, len(heads) + 1):
        if at == len(heads) or heads[at] != heads[start]:
            yield heads[start], start, at - start
            start = at


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _dress(text: Text, line: Line) -> str:
    """Write a cell: the paper's lines in italics, the best bold, the second underlined, marks above the line."""
    dressed = escape(text.text.strip())
    if dressed and line.kind != "ours":
        dressed = rf"\emph{{{dressed}}}"
    if text.bold:
        dressed = rf"\textbf{{{dressed}}}"
    elif text.underline:
        dressed = rf"\underline{{{dressed}}}"
    marks = ", ".join(map(escape, text.marks))
    return dressed + (rf"\textsuperscript{{{marks}}}" if marks else "")


def _claims(report: Report) -> Iterator[str]:
    if not report.claims:
        return
    yield rf"{escape(answers.about(report.claims))}"
    yield r"\begin{itemize}\footnotesize"
    for judged in report.claims:
        first, *rest = words.claim(judged)
        yield rf"\item {escape(first)}"
        yield from (rf"\par {escape(line.strip())}" for line in rest)
    yield r"\end{itemize}"
