"""How far each strategy is from the table's reference, in HTML: over seeds, and example by example."""

from collections.abc import Mapping, Sequence
from typing import Any

from peftcli.report.formats import data
from peftcli.report.formats import text_table as sheet
from peftcli.report.formats.html import tables
from peftcli.report.formats.html.elements import Markup, bullets, join, scrolling, tag
from peftcli.report.summary import Report


def render(report: Report) -> Markup:
    """Write the differences from the reference with their tests, and McNemar's by seed where predictions were kept.

    Nothing where the table names no reference or has no values to compare. Raises UserError for damaged predictions.
    """
    made = sheet.differences(report.table)
    if made is None:
        return Markup("")
    words = f"In each cell: ours minus {report.table.view.reference}, and in brackets the two-sided p over seeds."
    return join(
        [
            tag("p", words, class_="where"),
            tables.table(made, "Differences from the reference", len(report.table.headers)),
            bullets(made.notes, class_="notes"),
            _agreement(" / ".join(made.stub), [own for own in data.differences(report) if own["mcnemar"]]),
        ]
    )


def _agreement(row: str, found: Sequence[Mapping[str, Any]]) -> Markup:
    """Write McNemar's test of every cell, a column a seed."""
    if not found:
        return tag("p", "No predictions of the same examples are at hand to compare answers by.", class_="where")
    seeds = sorted({int(seed) for own in found for seed in own["mcnemar"]})
    names = " or ".join(dict.fromkeys(own["reference"] for own in found))
    words = (
        f"Answers on the same examples: how many only ours gets right, less how many only {names} gets right, "
        "and in brackets the two-sided p of McNemar's exact test, by seed."
    )
    heads = ("Column", "Examples", *(f"Seed {seed}" for seed in seeds))
    body = (tag("tr", tag("th", own["row"], scope="row"), *_cells(own, seeds)) for own in found)
    first = tag("th", row, scope="col", rowspan=1)  # on the left, as the words below it
    head = tag("thead", tag("tr", first, *(tag("th", word, scope="col") for word in heads)))
    caption = tag("caption", "Answers on the same examples", class_="unseen")
    table = tag("table", caption, head, tag("tbody", *body), class_="results")
    return join([tag("h3", "Example by example"), tag("p", words, class_="where"), scrolling("McNemar's tests", table)])


def _cells(own: Mapping[str, Any], seeds: Sequence[int]) -> list[Markup]:
    tests = own["mcnemar"]
    examples = dict.fromkeys(f"{test['n']:,}" for test in tests.values())
    shown = [_tested(tests[str(seed)]) if str(seed) in tests else "" for seed in seeds]
    return [tag("td", words) for words in (own["column"], " or ".join(examples), *shown)]


def _tested(test: Mapping[str, Any]) -> str:
    return f"{test['statistic']:+.0f} ({test['p_value']:.2g})".replace("+0 ", "0 ")
