"""The differences from a table's reference as lines of text: below each its 95 % interval, the same for every text format."""

from collections.abc import Iterator, Sequence

from peftcli.report.formats.text_table import Line, Sheet, Text, clean, signed
from peftcli.report.table import differences
from peftcli.report.table.differences import Difference
from peftcli.report.table.spec import View
from peftcli.report.table.table import Row, Table


def make(table: Table) -> Sheet | None:
    """Put the differences from the table's reference into words, each with its p-value; None where there are none."""
    grid = differences.from_reference(table)
    if grid is None:
        return None
    lines = [
        line for row, compared in zip(table.rows, grid, strict=True) for line in _compared(row, compared, table.view)
    ]
    if not lines:
        return None
    tested = any(line.kind == "interval" for line in lines)
    return Sheet(
        title=f"Difference from {table.view.reference}{' (p), with its 95 % interval' * tested}",
        stub=tuple(map(clean, table.headers)),
        heads=tuple(tuple(map(clean, column.path)) for column in table.columns),
        lines=tuple(lines),
        legend=(),
        notes=tuple(differences.notes(table, grid)),
    )


def _compared(row: Row, compared: Sequence[Difference | None], view: View) -> Iterator[Line]:
    """Yield a row's differences with their p-values, and below it their intervals; nothing for the reference's rows."""
    if not any(compared):
        return
    words, intervals = [], []
    for difference in compared:
        tested = difference and difference.contrast
        p_value, interval = (tested.p_value(), tested.interval()) if tested else (None, None)
        tail = "" if p_value is None else f" ({p_value:.2g})"
        words.append(Text(signed(tested.estimate, view) + tail if tested else ""))
        intervals.append(Text(f"[{', '.join(signed(end, view) for end in interval)}]" if interval else ""))
    yield Line("ours", (*(Text(clean(word)) for word in row.path), *words))
    if any(each.text for each in intervals):
        yield Line("interval", (Text("  95 % interval"), *[Text("")] * (len(row.path) - 1), *intervals))
