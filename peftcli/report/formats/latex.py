"""A report in LaTeX: one table float with booktabs, notes below it, claims as a list."""

from collections.abc import Iterable, Iterator, Sequence

from peftcli.report.formats import lines as words
from peftcli.report.formats import text_table as sheet
from peftcli.report.formats.text_table import Line, Sheet, Text
from peftcli.report.summary import Report

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
    "*": "{*}",
    "[": "{[}",
    "]": "{]}",
    '"': "''",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
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
    made, differences = sheet.make(report.table, report.against), sheet.differences(report.table)
    below = [*made.legend, *made.notes, *filter(None, [words.runs(report), words.cost(report)])]
    lines = [r"% needs \usepackage{booktabs}", *_float(made, below)]
    if differences is not None:
        lines += _float(differences, differences.notes)
    return "\n".join([*lines, *_claims(report)]) + "\n"


def _float(made: Sheet, below: Sequence[str]) -> Iterator[str]:
    yield r"\begin{table}"
    yield r"\centering\footnotesize\setlength{\tabcolsep}{3pt}"
    yield rf"\caption{{{escape(made.title)}}}"
    yield from table(made)
    yield r"\par\medskip\begin{minipage}{\linewidth}\scriptsize"
    yield from (rf"{escape(line)}\par" for line in below)
    yield r"\end{minipage}"
    yield r"\end{table}"


def table(made: Sheet) -> Iterator[str]:
    """Write the tabular: words of the outer levels span the columns that share them."""
    yield rf"\begin{{tabular}}{{{'l' * len(made.stub)}{'r' * len(made.heads)}}}"
    yield r"\toprule"
    levels = max((len(head) for head in made.heads), default=1)
    for level in range(levels - 1):
        spans = list(_spans([head[level] for head in made.heads]))
        yield _row([""] * len(made.stub) + [_spanning(word, count) for word, _, count in spans])
        first = len(made.stub) + 1
        yield "".join(rf"\cmidrule(lr){{{first + at}-{first + at + count - 1}}}" for word, at, count in spans if word)
    yield _row([*map(escape, made.stub), *(escape(head[levels - 1] or "") for head in made.heads)])
    yield r"\midrule"
    for line in made.lines:
        yield _row(_dress(text, line) for text in line.cells)
    yield r"\bottomrule"
    yield r"\end{tabular}"


def escape(text: str) -> str:
    """Make text print as it is."""
    return "".join(SIGNS.get(sign, sign) for sign in text)


def _spans(words_: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Runs of equal words: the word, where it starts, how many columns it covers."""
    start = 0
    for at in range(1, len(words_) + 1):
        if at == len(words_) or words_[at] != words_[start]:
            yield words_[start], start, at - start
            start = at


def _spanning(word: str, count: int) -> str:
    return rf"\multicolumn{{{count}}}{{c}}{{{escape(word)}}}"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _dress(text: Text, line: Line) -> str:
    found = escape(text.text.strip())
    if found and line.kind != "ours":
        found = rf"\emph{{{found}}}"
    if text.bold:
        found = rf"\textbf{{{found}}}"
    elif text.underline:
        found = rf"\underline{{{found}}}"
    marks = ", ".join(map(escape, text.marks))
    return found + (rf"\textsuperscript{{{marks}}}" if marks else "")


def _claims(report: Report) -> Iterator[str]:
    if not report.claims:
        return
    yield r"\begin{itemize}\footnotesize"
    for judged in report.claims:
        first, *rest = words.claim(judged)
        yield rf"\item {escape(first)}"
        yield from (rf"\par {escape(line.strip())}" for line in rest)
    yield r"\end{itemize}"
