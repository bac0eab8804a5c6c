"""A report's table in HTML: our number, the printed one and the difference in a cell; and what a cell was made from."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from peftcli.report.formats import text_table
from peftcli.report.formats.html.elements import Markup, bullets, fold, join, scrolling, tag
from peftcli.report.formats.text_table import Line, Sheet, Text
from peftcli.report.table import layout
from peftcli.report.table.table import Cell, Table


def render(results: Table) -> Markup:
    """Write the table with its legend and notes. The printed number stands below ours wherever the paper has one."""
    sheet = text_table.make(results, against=True)
    how_to_read = "The recipe names no printed numbers."
    if any(line.kind == "printed" for line in sheet.lines):
        how_to_read = "In each cell: ours, below it the number the paper printed, and ours minus printed."
    return join(
        [
            tag("p", how_to_read, class_="where"),
            table(sheet, "Results table", len(results.headers)),
            bullets(sheet.legend, class_="legend"),
            bullets(sheet.notes, class_="notes"),
            fold("What each cell was made from", scrolling("Cells", _details(results))),
        ]
    )


def table(sheet: Sheet, name: str, leading: int) -> Markup:
    """Write the lines of a sheet as a table that scrolls by itself; the `leading` cells of a line head it."""
    head = tag("thead", *_heads(sheet, leading))
    body = tag("tbody", *(_row(lines, leading) for lines in _rows(sheet.lines)))
    return scrolling(name, tag("table", tag("caption", name, class_="unseen"), head, body, class_="results"))


def _heads(sheet: Sheet, leading: int) -> Iterator[Markup]:
    """Write a line of headings a level; columns under the same word share one. Behind the `leading` ones are numbers."""
    levels = len(sheet.heads[0]) if sheet.heads else 1
    for level in range(levels):
        stub = [(word, None if at < leading else "number") for at, word in enumerate(sheet.stub) if level == 0]
        cells = [tag("th", word, scope="col", rowspan=levels, class_=class_) for word, class_ in stub]
        # Grouped by all words down to this level: equal words under different ones are different columns.
        for _, group in groupby(sheet.heads, key=lambda head, level=level: head[: level + 1]):  # type: ignore[misc]
            spanned = list(group)
            scope = "col" if len(spanned) == 1 else "colgroup"
            cells.append(tag("th", spanned[0][level], scope=scope, colspan=len(spanned) if len(spanned) > 1 else None))
        yield tag("tr", *cells)


def _rows(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Put each of our lines together with those of the paper below it."""
    group: list[Line] = []
    for line in lines:
        if line.kind == "ours" and group:
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _row(lines: Sequence[Line], stub: int) -> Markup:
    ours, *others = lines
    cells = [tag("th", text.plain(), scope="row") for text in ours.cells[:stub]]
    for at in range(stub, len(ours.cells)):
        below = [(line.kind, line.cells[at]) for line in others]
        parts = [_text(ours.cells[at], "ours"), *(_text(text, kind) for kind, text in below if text.plain())]
        cells.append(tag("td", *parts))
    return tag("tr", *cells)


def _text(text: Text, kind: str) -> Markup:
    words: str = text.text.strip()
    if text.bold:
        words = tag("strong", words)
    elif text.underline:
        words = tag("u", words)
    # What colour and size tell the eye, a word tells the ear.
    before: str = "" if kind == "ours" else tag("span", f"{kind} ", class_="unseen")
    marks = [tag("sup", mark) for mark in text.marks]
    return tag("span", before, words, *marks, class_=kind)


def _details(table: Table) -> Markup:
    heads = (
        "Row",
        "Column",
        "Metric",
        "Mean",
        "Std",
        "Seeds",
        "Learning rate",
        "Collapsed",
        "Not run, failed or diverged",
    )
    body = []
    for row in table.rows:
        for cell in row.cells:
            if cell is not None:
                first = tag("th", " / ".join(row.path), scope="row")
                body.append(tag("tr", first, *(tag("td", word) for word in _facts(table, cell))))
    head = tag("tr", *(tag("th", word, scope="col") for word in heads))
    return tag("table", tag("caption", "Every cell", class_="unseen"), tag("thead", head), tag("tbody", *body))


def _facts(table: Table, cell: Cell) -> list[str]:
    digits = table.view.decimals + 1  # one more than the table shows
    rate = "every" if cell.learning_rate is None else layout.rate_text(cell.learning_rate)
    lost = len(cell.missing) + len(cell.failed) + len(cell.damaged) + len(cell.diverged)
    return [
        cell.column,
        cell.metric,
        "no value" if cell.shown is None else f"{cell.shown:.{digits}f}",
        "-" if cell.std is None else f"{cell.std:.{digits}f} (ddof {cell.ddof})",
        f"{cell.n} of {cell.planned}",
        rate if cell.n else "-",
        str(len(cell.collapsed)),
        f"{lost} of {cell.runs_planned}",
    ]
