"""A table as lines of text with emphasis, the same for terminal, markdown and LaTeX, which only dress it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from peftcli.report.table import beside_paper, ties
from peftcli.report.table.ranks import Position
from peftcli.report.table.spec import View
from peftcli.report.table.table import Cell, Row, RowAverage, Table, Tie

MARKS = {"diverged": "d", "failed": "f", "damaged": "x", "missing": "m", "collapsed": "c"}
PARAMETERS = {"percent": "% Param.", "millions": "Param. (M)"}
NOT_PLANNED = "..."
AVERAGE_SLACK = 0.01 + 1e-9  # points: papers average digits that they do not print


@dataclass(frozen=True)
class Text:
    """The words of one cell; `bold` for the best, `underline` for the second; `marks` follow it ("n=2", "d1", "†")."""

    text: str
    bold: bool = False
    underline: bool = False
    marks: tuple[str, ...] = ()

    def plain(self) -> str:
        """The words with their marks."""
        return " ".join(part for part in (self.text, *self.marks) if part)


@dataclass(frozen=True)
class Line:
    """One line of the table; `kind` is ours, printed (by the paper), difference or interval."""

    kind: str
    cells: tuple[Text, ...]


@dataclass(frozen=True)
class Sheet:
    """A table ready to dress: `stub` columns lead every line, `heads` have as many levels as the columns' words."""

    title: str
    stub: tuple[str, ...]
    heads: tuple[tuple[str, ...], ...]
    lines: tuple[Line, ...]
    legend: tuple[str, ...]
    notes: tuple[str, ...]


def make(table: Table, against: bool) -> Sheet:
    """Put a table into words; `against` adds what the paper printed and the difference below each line."""
    stub = [*table.headers, *([PARAMETERS[table.view.parameters]] if table.view.parameters != "none" else [])]
    heads = [column.path for column in table.columns]
    if table.view.average is not None:
        heads.append((table.view.average.label,))
    levels = max((len(head) for head in heads), default=1)
    tied = ties.printed(table) if against else {}
    lines = [line for at, row in enumerate(table.rows) for line in _lines(at, row, table.view, against, tied)]
    beside = [*beside_paper.notes(table), *ties.notes_on_printed(table, tied)] if against else []
    return Sheet(
        title=clean(table.title),
        stub=tuple(map(clean, stub)),
        # The average's heading has one word; it is filled up to as many levels as the others have.
        heads=tuple(tuple(map(clean, (*head, *[""] * (levels - len(head))))) for head in heads),
        lines=tuple(lines),
        legend=tuple(_legend(lines, against)),
        notes=tuple(map(clean, (*beside, *table.notes))),
    )


def clean(text: str) -> str:
    """Take out what a terminal could take for a command, and line breaks."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _lines(at: int, row: Row, view: View, against: bool, tied: Mapping[Position, Tie | None]) -> list[Line]:
    """Put the row at an index into words; `tied` are the tie groups of printed cells."""
    stub = [Text(clean(word)) for word in row.path]
    lines = [
        Line(
            "ours",
            (
                *stub,
                *(
                    []
                    if view.parameters == "none"
                    else [Text(amount(row.parameters.value if row.parameters else None, view))]
                ),
                *(_ours(cell, view, against) for cell in row.cells),
                *_average(row.average, view, row),
            ),
        )
    ]
    if against and any(cell is not None and cell.published is not None for cell in row.cells):
        # The words that head a row stand once, above the lines of the paper.
        empty = [Text("")] * (len(row.path) - 1)
        printed = row.parameters.published if row.parameters else None
        parameters = [] if view.parameters == "none" else [Text(amount(printed, view))]
        printed_cells = [_printed(cell, view, tied.get((at, c))) for c, cell in enumerate(row.cells)]
        lines.append(
            Line(
                "printed",
                (Text("  printed"), *empty, *parameters, *printed_cells, *_printed_average(row.average, view)),
            )
        )
        blank = [] if view.parameters == "none" else [Text("")]
        differences = [
            Text("" if cell is None or cell.difference is None else signed(cell.difference, view)) for cell in row.cells
        ]
        lines.append(
            Line(
                "difference",
                (Text("  difference"), *empty, *blank, *differences, *_average_difference(row.average, view)),
            )
        )
    return lines


def amount(value: float | None, view: View) -> str:
    """Write the leading column: percent with two decimals, four below 0.01; millions with two."""
    if value is None:
        return "-"
    if view.parameters == "millions":
        return f"{value:.2f}"
    return f"{value:.2f}%" if value == 0 or value >= 0.01 else f"{value:.4f}%"


def _ours(cell: Cell | None, view: View, against: bool) -> Text:
    if cell is None:
        return Text(NOT_PLANNED)
    # Whatever makes a number less than a whole cell stands beside it.
    marks = [f"n={cell.n}"] if 0 < cell.n != cell.planned else []
    marks += [f"{sign}{len(runs)}" for name, sign in MARKS.items() if (runs := getattr(cell, name))]
    if cell.differs and against:
        marks.append("‡")
    marks += [ties.SIGN] if cell.tie and cell.tie.tied else []
    if cell.shown is None:
        return Text("diverged" if cell.diverged and not cell.missing else "missing", marks=tuple(marks))
    bold, underline = emphasis(cell.rank, view)
    return Text(value(cell.shown, cell.std, cell.rank, cell.std_rank, view), bold, underline, tuple(marks))


def emphasis(rank: int | None, view: View) -> tuple[bool, bool]:
    """Whether a rank is set bold, and whether underlined."""
    return view.ranks != "none" and rank == 1, view.ranks == "best and second" and rank == 2


def value(mean: float, std: float | None, rank: int | None, std_rank: int | None, view: View) -> str:
    """Write mean±std with the view's decimals, with the ranks of the best three in brackets where it says so."""
    first, second = (f"[{r}]" if view.ranks == "top 3" and r is not None and r <= 3 else "" for r in (rank, std_rank))
    text = f"{mean:.{view.decimals}f}{first}"
    return text if std is None else f"{text}±{std:.{view.decimals}f}{second}"


def _average(average: RowAverage | None, view: View, row: Row) -> list[Text]:
    if average is None:
        return []
    if average.mean is None:
        return [Text(f"{average.columns} of {average.planned}")]  # an average of other columns would not compare
    # An average that lacks cells of the paper's columns is marked, not hidden.
    bold, underline = emphasis(average.rank, view)
    std = average.std if view.average and view.average.std else None
    text = value(average.mean, std, average.rank, average.std_rank, view)
    return [Text(text, bold, underline, ("*",) if average.incomplete else ())]


def _printed(cell: Cell | None, view: View, tie: Tie | None) -> Text:
    if cell is None or cell.published is None or cell.published.shown is None:
        return Text("" if cell is None else "-")
    # With as many digits as the paper printed, one more than the view's included; many more were read off a drawing.
    theirs = cell.published
    digits = theirs.decimals if theirs.decimals <= view.decimals + 1 else view.decimals
    std = "" if theirs.std is None else f"±{theirs.std:.{view.decimals}f}"
    marks = ["†"] if theirs.copied_from else [ties.SIGN] if tie and tie.tied else []
    return Text(f"{theirs.shown:.{digits}f}{std}", marks=tuple(marks))


def signed(difference: float, view: View) -> str:
    """Write a difference with its sign; one that rounds to nothing has none."""
    text = f"{difference:+.{view.decimals}f}"
    return text if float(text) else text[1:]  # "-0.0" would claim a direction


def _printed_average(average: RowAverage | None, view: View) -> list[Text]:
    if average is None:
        return []
    theirs = average.published
    if theirs is None or theirs.shown is None:
        return [Text("-")]
    std = "" if theirs.std is None else f"±{theirs.std:.{view.decimals}f}"
    return [Text(f"{theirs.shown:.{theirs.decimals}f}{std}")]


def _average_difference(average: RowAverage | None, view: View) -> list[Text]:
    if average is None:
        return []
    theirs = average.published
    if average.difference is None or average.mean is None or theirs is None or theirs.shown is None:
        return [Text("")]
    # Against the digits that were printed: within the slack the paper's own rounding explains the difference.
    printed = round(average.mean, max(view.decimals, theirs.decimals)) - theirs.shown
    return [Text(signed(0.0 if abs(printed) < AVERAGE_SLACK else printed, view))]


def _legend(lines: Sequence[Line], against: bool) -> list[str]:
    marks = {mark for line in lines for text in line.cells for mark in text.marks}
    texts = {text.text for line in lines for text in line.cells}
    words = {
        "n=": "n=: seeds with a value, fewer than planned",
        "d": "d: runs that diverged",
        "f": "f: runs that failed",
        "x": "x: records that are damaged",
        "m": "m: runs that are missing",
        "c": "c: runs that collapsed to one answer",
        "*": "*: an average of incomplete cells",
        "†": "†: copied from another paper by the authors, so no difference is taken",
        ties.SIGN: f"{ties.SIGN}: not shown to differ from the best of its column (Games–Howell over its rows)",
        "‡": "‡: other than the printed value (pooled t test over seeds, p < 0.05)",
    }
    # Only what the table at hand has is explained.
    legend = [text for sign, text in words.items() if any(mark.startswith(sign) for mark in marks)]
    return legend + ([f"{NOT_PLANNED}: not part of the recipe"] if NOT_PLANNED in texts else [])
