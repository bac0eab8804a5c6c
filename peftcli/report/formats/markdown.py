"""A report in GitHub's markdown: a table, and lists below it."""

import re
from collections.abc import Iterable, Iterator

from peftcli.report.formats import answers, cost_table, difference_table, over_tasks_table, text_table
from peftcli.report.formats import lines as words
from peftcli.report.formats.text_table import Line, Sheet, Text
from peftcli.report.summary import Report

# Also `~` (struck out), `$` (a formula on GitHub) and `|`, which would end a cell.
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def render(report: Report) -> str:
    """Write the report: the best bold, the second underlined (<ins>), marks in <sub>."""
    sheet = text_table.make(report.table, report.against)
    below = [*sheet.legend, *sheet.notes, words.runs(report), words.cost(report)]
    said = words.imported(report)
    lines = [
        *([f"**{escape(said)}**", ""] if said else []),
        f"### {escape(sheet.title)}",
        "",
        *table(sheet),
        "",
        *(f"- {escape(line)}" for line in below if line),
    ]
    sheets = (
        difference_table.make(report.table, report.over_examples),
        over_tasks_table.make(report.table),
        cost_table.make(report.costs_by_task),
    )
    for further in sheets:
        if further is not None:
            notes = (f"- {escape(line)}" for line in further.notes)
            lines += ["", f"#### {escape(further.title)}", "", *table(further), "", *notes]
    if report.claims:
        lines += ["", "#### Claims", "", escape(answers.about(report.claims)), "", *_claims(report)]
    return "\n".join(lines) + "\n"


def table(sheet: Sheet) -> Iterator[str]:
    """Write the table's lines; a heading of several levels becomes one."""
    # Markdown has one line of headings.
    heads = [*sheet.stub, *(" ".join(filter(None, head)) for head in sheet.heads)]
    yield _row(map(escape, heads))
    yield _row([":--"] * len(sheet.stub) + ["--:"] * len(sheet.heads))
    for line in sheet.lines:
        yield _row(_dress(text, line) for text in line.cells)


def escape(text: str) -> str:
    """Make text show as it is: no emphasis, link, table cell, HTML or formula is taken from it."""
    return SPECIAL.sub(r"\\\1", text).replace("\n", " ")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _dress(text: Text, line: Line) -> str:
    dressed = escape(text.text.strip())
    # An empty cell would become `**`, which shows.
    if dressed and line.kind != "ours":
        dressed = f"*{dressed}*"
    if text.bold:
        dressed = f"**{dressed}**"
    elif text.underline:
        dressed = f"<ins>{dressed}</ins>"
    return dressed + "".join(f" <sub>{escape(mark)}</sub>" for mark in text.marks)


def _claims(report: Report) -> Iterator[str]:
    # A list in a list: the claim, its checks, and the numbers of each check.
    for judged in report.claims:
        first, *rest = words.claim(judged)
        yield f"- {escape(first)}"
        for line in rest:
            yield f"{'    ' if line.startswith('    ') else '  '}- {escape(line.strip())}"
