"""The counts of `tests.benchmarks.verdicts` as the tables of docs/statistics.md: `python -m tests.benchmarks.verdict_tables`."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from peftcli import files
from tests.benchmarks.verdicts import COUNTS, DESIGNS, DISTRIBUTIONS, EQUAL, FAR, SCENARIOS, Count, Design

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
BEGIN, END = "<!-- simulated: made by tests/benchmarks/verdict_tables.py -->", "<!-- end of simulated -->"


# How the rows of the table of kinds begin, whose last column is the worst of the scenarios that begin so.
KINDS = {
    "| `better` |": "better",
    "| `within` |": "within",
    "| `order` |": "order",
    "| `mostly` |": "mostly",
    "| `how many` |": "how many",
    "| `welch` |": "welch, lower",
    "| | not different:": "welch, not different",
    "| | different:": "welch, different",
    "| `descends` |": "descends",
    "| `best`, `worst` |": ("best of", "worst of 10"),
    "| `top` |": "top",
    "| `times best` |": "times best",
}


def read(path: Path = COUNTS) -> list[Count]:
    """Read what was counted."""
    return [Count(**each) for each in json.loads(path.read_text(encoding="utf-8"))]


def percent(count: int, tables: int) -> str:
    """A share in percent, with one decimal."""
    return f"{100 * count / tables:.1f}"


def tables(counted: Iterable[Count]) -> str:
    """Return all tables, in markdown."""
    by_key = {(count.scenario, count.design, count.distribution): count for count in counted}

    def cell(scenario: str, design: Design, distribution: str = "normal") -> str:
        count = by_key[scenario, design.name, distribution]
        words = percent(count.supported, count.tables)
        return words if count.contradicted is None else f"{words} / {percent(count.contradicted, count.tables)}"

    def table(head: list[str], rows: Iterable[list[str]]) -> str:
        lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    marks = ("tie groups, ten equal", "marked ‡")
    often = max(count.tables for count in by_key.values())
    fewer = min(count.tables for count in by_key.values())
    wrong = table(
        ["normal values, seeds", *(design.name for design in DESIGNS)],
        [
            *([each.name, *(cell(each.name, design) for design in DESIGNS)] for each in SCENARIOS),
            *(
                [name, *(cell(name, d) if (name, d.name, "normal") in by_key else "" for d in DESIGNS)]
                for name in marks
            ),
        ],
    )
    others = [name for name in DISTRIBUTIONS if name != "normal"]
    widely = [each.name for each in SCENARIOS if each.widely] + list(marks)
    unlike = table(
        ["", *(f"{name}, {design.name}" for name in others for design in EQUAL)],
        [[each, *(cell(each, design, name) for name in others for design in EQUAL)] for each in widely],
    )
    chances = table(
        ["apart by, in the larger deviation", *(design.name for design in DESIGNS)],
        [
            [
                f"{words} {deviations:g}",
                *(percent(*_of(by_key[f"{key} {deviations:g}", d.name, "normal"])) for d in DESIGNS),
            ]
            for key, words in (
                ("power at", "`better` is supported, two rows,"),
                ("worst of ten at", "tie groups, the worst of ten,"),
            )
            for deviations in (1.0, 2.0, FAR)
        ],
    )
    error = 100 * math.sqrt(0.025 * 0.975)
    errors = (
        f"{error / math.sqrt(often):.2f} where the rate is 2.5 (of {fewer:,} tables {error / math.sqrt(fewer):.2f})"
    )
    return f"""{wrong}

Percent of {often:,} made tables (seven columns of ten rows: {fewer:,}) that were answered "supported" / "contradicted", all
of them wrongly; of the marks, percent of tables, or of cells, that were marked. The simulation's standard error is
{errors}. "3, 10": the first row has three seeds, the others ten; "1:4":
every second row has four times the deviation of the others. "Not different" is supported by two tests at 5 %, so its first
figure may be 5, and so may that of "different", which has two sides.

Values that are not normal: exponential, their long tail below the mean, and Student's t with five degrees of freedom.

{unlike}

How often what is there is seen, in percent:

{chances}
"""


def _of(count: Count) -> tuple[int, int]:
    return count.supported, count.tables


def worst(scenarios: str | tuple[str, ...], counted: Iterable[Count]) -> str:
    """Return the largest percentages of normal tables that were answered wrongly, supported / contradicted."""
    of = [each for each in counted if each.distribution == "normal" and each.scenario.startswith(scenarios)]
    pairs = [(each.supported / each.tables, (each.contradicted or 0) / each.tables) for each in of]
    supported, contradicted = (f"{100 * max(rates):.1f}" for rates in zip(*pairs, strict=True))
    return f"{supported} / {contradicted if float(contradicted) else '–'}"


def put(page: str, counted: Sequence[Count]) -> str:
    """Return a page with the tables between their marks, and with the last column of the table of kinds."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = head.splitlines(keepends=True)
    for begins, scenarios in KINDS.items():
        (at,) = (at for at, line in enumerate(lines) if line.startswith(begins))
        lines[at] = f"{lines[at].rsplit('|', 2)[0]}| {worst(scenarios, counted)} |\n"
    return f"{''.join(lines)}{BEGIN}\n\n{tables(counted)}\n{END}{tail}"


if __name__ == "__main__":
    files.write(PAGE, put(PAGE.read_text(encoding="utf-8"), read()))
