"""A report for the terminal: tables at most 100 columns wide, wider ones in groups of columns."""

import io
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.table import Table as Grid
from rich.text import Text as Styled

from peftcli.report.formats import answers, cost_table, difference_table, over_tasks_table, text_table
from peftcli.report.formats import lines as words
from peftcli.report.formats.text_table import Line, Sheet, Text
from peftcli.report.summary import Report

EDGES = 3  # signs that a column takes besides its words: a space on either side, and one between columns; the edges have none
WIDTH = 100  # columns, whatever the terminal has: a report in a file is the same
STYLES = {"holds": "green", "does not hold": "red", "not enough runs": "yellow", "cannot be judged": "yellow"}


def render(report: Report, styled: bool) -> str:
    """Write the report; `styled` with colours and bold, which the environment's NO_COLOR takes back."""
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, force_terminal=styled, highlight=False, emoji=False, markup=False)
    if said := words.imported(report):
        console.print(Styled(said, style="yellow"))
    sheet = text_table.make(report.table, report.against)
    _print_table(console, sheet)
    _print_list(console, [*sheet.legend, *sheet.notes, *filter(None, [words.runs(report), words.cost(report)])])
    further = (
        difference_table.make(report.table, report.over_examples),
        over_tasks_table.make(report.table),
        cost_table.make(report.costs),
    )
    for each in filter(None, further):
        _print_table(console, each)
        _print_list(console, each.notes)
    if report.claims:
        console.print(Styled("\nClaims", style="bold"))
        console.print(Styled(answers.about(report.claims), style="dim"))
    for judged in report.claims:
        first, *rest = words.claim(judged)
        console.print(Styled(first, style=STYLES[judged.verdict]))
        for line in rest:
            text = line.lstrip()
            deep = len(line) - len(text)  # as padding, so that wrapped lines are indented too
            console.print(Padding(Styled(text, style="dim" if deep > 2 else ""), (0, 0, 0, deep)))
    return "\n".join(line.rstrip() for line in stream.getvalue().removesuffix("\n").split("\n")) + "\n"


def _print_table(console: Console, sheet: Sheet) -> None:
    console.print(Styled(f"\n{sheet.title}\n", style="bold"))
    for group in groups(sheet):
        console.print(_grid(sheet, group))
        console.print()


def _print_list(console: Console, lines: Sequence[str]) -> None:
    # A grid keeps wrapped lines of a note to the right of its dash.
    grid = Grid.grid()
    grid.add_column(width=2)
    grid.add_column()
    for line in lines:
        grid.add_row(Styled("-"), Styled(line))
    console.print(grid)


def groups(sheet: Sheet) -> Iterator[range]:
    """Cut the columns behind the stub into groups whose lines fit, at least one column each."""
    stub = len(sheet.stub)  # the leading columns, repeated in every group
    widths = [_width(sheet, at) for at in range(stub + len(sheet.heads))]
    start, used = stub, sum(widths[:stub])
    for at in range(stub, len(widths)):
        if at > start and used + widths[at] > WIDTH + EDGES:
            yield range(start, at)
            start, used = at, sum(widths[:stub])
        used += widths[at]
    yield range(start, len(widths))


def _width(sheet: Sheet, at: int) -> int:
    stub = len(sheet.stub)
    head = [sheet.stub[at]] if at < stub else list(sheet.heads[at - stub])
    texts = list(head)
    for line in sheet.lines:
        text, marks = line.cells[at], " ".join(line.cells[at].marks)
        # Marks get a line of their own unless they are one sign.
        texts += [f"{text.text} {marks}"] if len(marks) <= 1 else [text.text, marks]
    return max(Styled(text).cell_len for text in texts) + EDGES


def _grid(sheet: Sheet, columns: range) -> Grid:
    stub = len(sheet.stub)
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for word in sheet.stub:
        grid.add_column(Styled(word), no_wrap=True)
    for at in columns:
        grid.add_column(Styled("\n".join(filter(None, sheet.heads[at - stub]))), justify="right", no_wrap=True)
    for line in sheet.lines:
        grid.add_row(*(_styled(text, line) for text in [*line.cells[:stub], *(line.cells[at] for at in columns)]))
    return grid


def _styled(text: Text, line: Line) -> Styled:
    style = Style(bold=text.bold or None, underline=text.underline or None, dim=line.kind != "ours" or None)
    styled = Styled(text.text, style=style)
    if text.marks:
        styled.append("\n" if len(text.plain()) > len(text.text) + 2 else " ")
        styled.append(" ".join(text.marks), style=Style(color="yellow"))
    return styled
