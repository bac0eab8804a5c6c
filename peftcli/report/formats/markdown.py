"""A report in GitHub's markdown: a table, and lists below it."""

import re
from collections.abc import Iterable, Iterator

from peftcli.report.formats import lines as words
from peftcli.report.formats import text_table as sheet
from peftcli.report.formats.text_table import Line, Sheet, Text
from peftcli.report.summary import Report

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def render(report: Report) -> str:
    """Write the report: the best bold, the second underlined (<ins>), marks in <sub>."""
    made = sheet.make(report.table, report.against)
    below = [*made.legend, *made.notes, words.runs(report), words.cost(report)]
    lines = [f"### {escape(made.title)}", "", *table(made), "", *(f"- {escape(line)}" for line in below if line)]
    differences = sheet.differences(report.table)
    if differences is not None:
        notes = (f"- {escape(line)}" for line in differences.notes)
        lines += ["", f"#### {escape(differences.title)}", "", *table(differences), "", *notes]
    if report.claims:
        lines += ["", "#### Claims", "", *_claims(report)]
    return "\n".join(lines) + "\n"


def table(made: Sheet) -> Iterator[str]:
    """Write the table's lines; a heading of several levels becomes one."""
    heads = [*made.stub, *(" ".join(filter(None, head)) for head in made.heads)]
    yield _row(map(escape, heads))
    yield _row([":--"] * len(made.stub) + ["--:"] * len(made.heads))
    for line in made.lines:
        yield _row(_dress(text, line) for text in line.cells)


def escape(text: str) -> str:
    """Make text show as it is: no emphasis, link, table cell, HTML or formula is taken from it."""
    return SPECIAL.sub(r"\\\1", text).replace("\n", " ")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _dress(text: Text, line: Line) -> str:
    words_ = escape(text.text.strip())
    if words_ and line.kind != "ours":
        words_ = f"*{words_}*"
    if text.bold:
        words_ = f"**{words_}**"
    elif text.underline:
        words_ = f"<ins>{words_}</ins>"
    return words_ + "".join(f" <sub>{escape(mark)}</sub>" for mark in text.marks)


def _claims(report: Report) -> Iterator[str]:
    for judged in report.claims:
        first, *rest = words.claim(judged)
        yield f"- {escape(first)}"
        for line in rest:
            yield f"{'    ' if line.startswith('    ') else '  '}- {escape(line.strip())}"
