"""The page over several reports: a row each, with what it is of, how far it is, what its claims come to and what it took."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from peftcli.experiment.durations import HOUR, SPELLED, day, in_words
from peftcli.report.formats import lines
from peftcli.report.formats.html import frame
from peftcli.report.formats.html.claims import SIGNS, TESTED_SIGNS
from peftcli.report.formats.html.elements import Markup, bullets, join, scrolling, tag
from peftcli.report.formats.html.frame import Section
from peftcli.report.summary import Report

UNKNOWN = "-"
FACTS = ("Model", "Cells complete", "Claims", "Date", "Cost")  # a column each, behind the recipe


@dataclass(frozen=True)
class Entry:
    """A report on the page: the recipe's name, the address of its page, the folder of its records, and what it says."""

    recipe: str
    address: str
    folder: str
    report: Report


def render(entries: Sequence[Entry], records: int) -> str:
    """Write the page; the same reports give the same bytes. `records` is how many there are in all the folders."""
    folders = dict.fromkeys(entry.folder for entry in entries)
    several = len(folders) > 1
    heads = ["Recipe", *(["Folder"] if several else []), *FACTS]
    head = tag("thead", tag("tr", *(tag("th", word, scope="col") for word in heads)))
    body = tag("tbody", *(_row(entry, several) for entry in entries))
    table = tag("table", tag("caption", "Reports", class_="unseen"), head, body, class_="reports")
    count = f"{len(entries)} report{'s' * (len(entries) > 1)}"
    lead = f"{count} made from {records:,} record{'s' * (records > 1)} of runs in {', '.join(folders)}."
    content = join([scrolling("Reports", table), bullets(_notes(entries), class_="notes")])
    return frame.write("Results", lead, [Section("reports", "Reports", content)])


def _row(entry: Entry, several: bool) -> Markup:
    report = entry.report
    said = lines.imported(report)
    first = [
        tag("a", report.table.title, href=entry.address),
        _below(entry.recipe),
        *([_below(said)] if said else []),
    ]
    ended = UNKNOWN if report.cost.ended is None else day(report.cost.ended)
    facts: list[list[str]] = [[report.recipe.model], _cells(report), _claims(entry), [ended], _cost(report)]
    columns = list(zip(FACTS, facts, strict=True))
    if several:
        columns.insert(0, ("Folder", [entry.folder]))
    # On a phone a row is a block, and each of its cells says what it is.
    cells = [tag("td", tag("div", *parts), data_head=head) for head, parts in columns]
    return tag("tr", tag("th", *first, scope="row"), *cells)


def _cells(report: Report) -> list[str]:
    """Say how many of a table's cells have all their runs, and how many runs ended how."""
    cells = list(report.table.cells())
    complete = sum(cell.state == "complete" for cell in cells)
    runs = [f"{count:,} {state}" for state, count in report.counts.items() if count]
    return [f"{complete} of {len(cells)}", _below(f"runs: {', '.join(runs)}")]


def _claims(entry: Entry) -> list[str]:
    """Count what claims come to over seeds, and below it as the numbers are printed."""
    claims = entry.report.claims
    if not claims:
        return ["none"]
    tested = Counter[str](claim.tested.answer for claim in claims if claim.tested is not None)
    printed = Counter[str](claim.verdict for claim in claims)
    answers = [f"{sign} {answer}: {tested[answer]}" for answer, sign in TESTED_SIGNS.items() if tested[answer]]
    verdicts = [f"{verdict}: {printed[verdict]}" for verdict in SIGNS if printed[verdict]]
    shown = tag("a", *_apart(answers or ["not tested"]), href=f"{entry.address}#claims")
    return [shown, _below(f"as printed: {', '.join(verdicts)}")]


def _apart(words: Sequence[str]) -> list[Markup]:
    return [tag("span", word, class_="ours") for word in words]


def _cost(report: Report) -> list[str]:
    if not report.cost.hours:
        return [UNKNOWN]
    return [in_words(HOUR * report.cost.hours, SPELLED), _below(", ".join(report.cost.devices))]


def _below(words: str) -> Markup:
    return tag("span", words, class_="below")


def _notes(entries: Sequence[Entry]) -> list[str]:
    """Say how to read the table."""
    notes = ["A cell is complete where every run that its recipe plans has ended with a value."]
    if any(entry.report.claims for entry in entries):
        notes.append("Claims: tested over seeds, by Student's t at 5 %; below, as the numbers of the table compare.")
    notes.append("Date: of the newest record (UTC). Cost: of the recorded runs, which recipes may share.")
    if any(entry.report.cost.ended is None or not entry.report.cost.hours for entry in entries):
        notes.append("A dash: no record says it.")
    return notes
