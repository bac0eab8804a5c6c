"""What a run of each strategy took, as lines of text: the same for terminal, markdown and HTML."""

from collections.abc import Sequence

from peftcli.experiment.durations import MEASURED, in_words
from peftcli.report.costs import RunCost
from peftcli.report.formats.text_table import Line, Sheet, Text, clean

UNKNOWN = "-"
UNITS = ("B", "kB", "MB", "GB", "TB")


def make(rows: Sequence[RunCost]) -> Sheet | None:
    """Put costs into words, with the task and the device where there are several; None where there are no costs."""
    if not rows:
        return None
    names = {"Strategy": [row.strategy for row in rows], "Task": [row.task for row in rows]}
    names |= {"Device": [row.device for row in rows]}
    leading = {head: words for head, words in names.items() if head == "Strategy" or len(set(words) - {""}) > 1}
    lines = [
        Line("ours", (*(Text(clean(words[at]) or UNKNOWN) for words in leading.values()), *map(Text, _amounts(row))))
        for at, row in enumerate(rows)
    ]
    return Sheet(
        title="Cost of a run",
        stub=tuple(leading),
        heads=(("Runs",), ("Time",), ("Tokens",), ("Memory",), ("Delta",)),
        lines=tuple(lines),
        legend=(),
        notes=tuple(_notes(rows)),
    )


def in_bytes(count: float) -> str:
    """Write a number of bytes to three digits in the unit that suits it: 412 B, 1.68 MB (of 1,000 kB each)."""
    step = 0
    while count >= 999.5 and step < len(UNITS) - 1:
        count, step = count / 1000, step + 1
    return f"{count:.3g} {UNITS[step]}"


def _amounts(row: RunCost) -> tuple[str, ...]:
    return (
        f"{row.runs:,}",
        UNKNOWN if row.seconds is None else in_words(row.seconds, MEASURED),
        UNKNOWN if row.tokens is None else f"{row.tokens:,.0f}",
        UNKNOWN if row.peak_memory_bytes is None else in_bytes(row.peak_memory_bytes),
        UNKNOWN if row.delta_bytes is None else in_bytes(row.delta_bytes),
    )


def _notes(rows: Sequence[RunCost]) -> list[str]:
    """Say what the numbers are of: means, a cohort's shared and a cohort's whole."""
    sizes = sorted({round(row.cohort) for row in rows if row.cohort})
    together = "alone" if sizes[-1] == 1 else f"{' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))} at a time"
    said = [
        f"Means over recorded runs, all learning rates and seeds; they trained {together}"
        + ("." if sizes[-1] == 1 else ", and share time and tokens equally; memory is what all of them held together.")
    ]
    on_processor = any(row.device == "cpu" and row.peak_memory_bytes is not None for row in rows)
    if on_processor:
        said.append("Memory on a processor is the whole process's, libraries and model included.")
    if any(UNKNOWN in _amounts(row) for row in rows):
        said.append("A dash: no record says it.")
    return said
