"""A report for the terminal: tables at most 100 columns wide, wider ones in groups of columns."""

import io
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.table import Table as Grid
from rich.text import Text as Styled

from peftcli.report.formats import lines as words
from peftcli.report.formats import text_table as sheet
from peftcli.report.formats.text_table import Line, Sheet, Text
from peftcli.report.summary import Report

WIDTH = 100  # columns
STYLES = {"holds": "green", "does not hold": "red", "not enough runs": "yellow", "cannot be judged": "yellow"}


def render(report: Report, styled: bool) -> str:
    """Write the report; `styled` with colours and bold, which the environment's NO_COLOR takes back."""
    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH, force_terminal=styled, highlight=False, emoji=False, markup=False)
    made = sheet.make(report.table, report.against)
    _print_table(console, made)
    _print_list(console, [*made.legend, *made.notes, *filter(None, [words.runs(report), words.cost(report)])])
    differences = sheet.differences(report.table)
    if differences is not None:
        _print_table(console, differences)
        _print_list(console, differences.notes)
    if report.claims:
        console.print(Styled("\nClaims", style="bold"))
    for judged in report.claims:
        first, *rest = words.claim(judged)
        console.print(Styled(first, style=STYLES[judged.verdict]))
        for line in rest:
            text = line.lstrip()
            deep = len(line) - len(text)
            console.print(Padding(Styled(text, style="dim" if deep > 2 else ""), (0, 0, 0, deep)))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _print_table(console: Console, made: Sheet) -> None:
    console.print(Styled(f"\n{made.title}\n", style="bold"))
    for group in groups(made):
        console.print(_grid(made, group))
        console.print()


def _print_list(console: Console, lines: Sequence[str]) -> None:
    grid = Grid.grid()
    grid.add_column(width=2)
    grid.add_column()
    for line in lines:
        grid.add_row(Styled("-"), Styled(line))
    console.print(grid)


def groups(made: Sheet) -> Iterator[range]:
    """Cut the columns behind the stub into groups whose lines fit, at least one column each."""
    stub = len(made.stub)
    widths = [_width(made, at) for at in range(stub + len(made.heads))]
    start, used = stub, sum(widths[:stub])
    for at in range(stub, len(widths)):
        if at > start and used + widths[at] > WIDTH:
            yield range(start, at)
            start, used = at, sum(widths[:stub])
        used += widths[at]
    yield range(start, len(widths))


def _width(made: Sheet, at: int) -> int:
    stub = len(made.stub)
    head = [made.stub[at]] if at < stub else list(made.heads[at - stub])
    texts = [*head, *(part for line in made.lines for part in _parts(line.cells[at]))]
    return max(Styled(text).cell_len for text in texts) + 2


def _grid(made: Sheet, columns: range) -> Grid:
    stub = len(made.stub)
    grid = Grid(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False)
    for word in made.stub:
        grid.add_column(Styled(word), no_wrap=True)
    for at in columns:
        grid.add_column(Styled("\n".join(filter(None, made.heads[at - stub]))), justify="right", no_wrap=True)
    for line in made.lines:
        grid.add_row(*(_styled(text, line) for text in [*line.cells[:stub], *(line.cells[at] for at in columns)]))
    return grid


def _styled(text: Text, line: Line) -> Styled:
    style = Style(bold=text.bold or None, underline=text.underline or None, dim=line.kind != "ours" or None)
    found = Styled(text.text, style=style)
    if text.marks:
        found.append("\n" if len(text.plain()) > len(text.text) + 2 else " ")
        found.append(" ".join(text.marks), style=Style(color="yellow"))
    return found


def _parts(text: Text) -> Sequence[str]:
    """What stands below each other in a cell: marks get a line of their own unless they are one sign."""
    marks = " ".join(text.marks)
    return [f"{text.text} {marks}"] if len(marks) <= 1 else [text.text, marks]
