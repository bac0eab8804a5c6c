"""The differences from a table's reference as lines of text: below each its 95 % interval, the same for every text format."""

from collections.abc import Iterator, Sequence

from peftcli.report.formats.text_table import Line, Sheet, Text, clean, signed
from peftcli.report.table import differences
from peftcli.report.table.differences import Difference
from peftcli.report.table.over_examples import Grid, notes
from peftcli.report.table.resampling import OverExamples
from peftcli.report.table.spec import View
from peftcli.report.table.table import Row, Table


def make(table: Table, over_examples: Grid | None = None) -> Sheet | None:
    """Put the differences from the table's reference into words, each with its p-value; None where there are none.

    `over_examples`: the same over seeds and examples together, whose intervals stand below those over seeds.
    """
    grid = differences.from_reference(table)
    if grid is None:
        return None
    together = over_examples or [[None] * len(table.columns)] * len(grid)
    lines = [
        line
        for row, compared, with_examples in zip(table.rows, grid, together, strict=True)
        for line in _compared(row, compared, with_examples, table.view)
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
        notes=(*differences.notes(table, grid), *(notes(over_examples, grid) if over_examples else ())),
    )


def _compared(
    row: Row, compared: Sequence[Difference | None], together: Sequence[OverExamples | None], view: View
) -> Iterator[Line]:
    """Yield a row's differences with their p-values, and below it their intervals; nothing for the reference's rows."""
    if not any(compared):
        return
    words, intervals = [], []
    for difference in compared:
        tested = difference and difference.contrast
        p_value, interval = (tested.p_value(), tested.interval()) if tested else (None, None)
        tail = "" if p_value is None else f" ({p_value:.2g})"
        words.append(Text(signed(tested.estimate, view) + tail if tested else ""))
        intervals.append(_interval(interval, view))
    yield Line("ours", (*(Text(clean(word)) for word in row.path), *words))
    with_examples = [_interval(each.joint.interval if each and each.joint else None, view) for each in together]
    for kind, words_of_row, ends in (
        ("interval", "  95 % interval", intervals),
        ("examples", "  and examples", with_examples),
    ):
        if any(each.text for each in ends):
            yield Line(kind, (Text(words_of_row), *[Text("")] * (len(row.path) - 1), *ends))


def _interval(ends: tuple[float, float] | None, view: View) -> Text:
    return Text(f"[{', '.join(signed(end, view) for end in ends)}]" if ends else "")
