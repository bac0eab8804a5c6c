"""The parts of a page beside its table and figures: differences, what is missing, cost, recipe, environment."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peftcli import files
from peftcli.experiment import extending
from peftcli.experiment.durations import day
from peftcli.experiment.recipe import Recipe
from peftcli.report.formats import cost_table, data, difference_table
from peftcli.report.formats.html import tables
from peftcli.report.formats.html.elements import Markup, bullets, fold, join, pairs, preformatted, scrolling, tag
from peftcli.report.summary import Report

LISTED = 100  # runs in a list; more are counted
KINDS = ("missing", "failed", "damaged", "diverged", "collapsed")


def differences(report: Report) -> Markup:
    """Write the differences from the reference with their tests, and McNemar's by seed where predictions were kept.

    Nothing where the table names no reference or has no values to compare. Raises UserError for damaged predictions.
    """
    table = difference_table.make(report.table, report.over_examples)
    if table is None:
        return Markup("")
    words = f"In each cell: ours minus {report.table.view.reference}."
    if any(line.kind == "interval" for line in table.lines):
        words += " In brackets the two-sided p over seeds, below it the 95 % interval of the difference."
    if any(line.kind == "examples" for line in table.lines):
        words += " Below that, the interval over seeds and examples together."
    return join(
        [
            tag("p", words, class_="where"),
            tables.table(table, "Differences from the reference", len(report.table.headers)),
            bullets(table.notes, class_="notes"),
            _agreement(" / ".join(table.stub), [cell for cell in data.differences(report) if cell["mcnemar"]]),
        ]
    )


def _agreement(row: str, compared: Sequence[Mapping[str, Any]]) -> Markup:
    """Write McNemar's test of every cell, a column a seed; `row` heads the rows."""
    if not compared:
        return tag("p", "No predictions of the same examples are at hand to compare answers by.", class_="where")
    seeds = sorted({int(seed) for cell in compared for seed in cell["mcnemar"]})
    names = " or ".join(dict.fromkeys(cell["reference"] for cell in compared))
    words = (
        f"Answers on the same examples: how many only ours gets right, less how many only {names} gets right, "
        "and in brackets the two-sided p of McNemar's exact test, by seed."
    )
    heads = ("Column", "Examples", *(f"Seed {seed}" for seed in seeds))
    body = (tag("tr", tag("th", cell["row"], scope="row"), *_by_seed(cell, seeds)) for cell in compared)
    first = tag("th", row, scope="col", rowspan=1)  # on the left, as the words below it
    head = tag("thead", tag("tr", first, *(tag("th", word, scope="col") for word in heads)))
    caption = tag("caption", "Answers on the same examples", class_="unseen")
    table = tag("table", caption, head, tag("tbody", *body), class_="results")
    return join([tag("h3", "Example by example"), tag("p", words, class_="where"), scrolling("McNemar's tests", table)])


def _by_seed(cell: Mapping[str, Any], seeds: Sequence[int]) -> list[Markup]:
    tests = cell["mcnemar"]
    examples = dict.fromkeys(f"{test['n']:,}" for test in tests.values())
    shown = [
        # Equal answers have no sign.
        f"{test['statistic']:+.0f} ({test['p_value']:.2g})".replace("+0 ", "0 ") if test else ""
        for test in (tests.get(str(seed)) for seed in seeds)
    ]
    return [tag("td", words) for words in (cell["column"], " or ".join(examples), *shown)]


def missing(report: Report) -> Markup:
    """Say how many runs ended how, and name those without a number."""
    total = sum(report.counts.values())
    counts = pairs([(state, f"{count} of {total}") for state, count in report.counts.items()])
    parts: list[str] = [counts]
    for kind in KINDS:
        # A run that several metrics or averages read is named once.
        runs = list(dict.fromkeys(run for cell in report.table.cells() for run in getattr(cell, kind)))
        if runs:
            parts.append(fold(f"{len(runs)} {kind}", bullets(_cut(runs))))
    if report.troubles:
        parts.append(fold(f"why, for {len(report.troubles)} of them", bullets(_cut(report.troubles))))
    if report.counts.get("completed") == total:
        parts.append(tag("p", "Every planned run completed."))
    return join(parts)


def cost(report: Report) -> Markup:
    """Say what the recorded runs took together, and one run of each strategy on each task."""
    spent = report.cost
    # Hours on a CPU are no GPU hours: papers count the latter.
    on_gpu = any(device != "cpu" for device in spent.devices)
    rows = [
        ("GPU hours" if on_gpu else "hours of computing", f"{spent.hours:.3g}"),
        ("training tokens", f"{spent.tokens:,}"),
        ("devices", ", ".join(spent.devices) or "no record says"),
    ]
    if spent.ended is not None:
        rows.append(("last run ended", day(spent.ended)))
    if spent.peak_memory_bytes:
        held = "most GPU memory in a process" if on_gpu else "most memory of a process"
        rows.append((held, cost_table.in_bytes(spent.peak_memory_bytes)))
    table = cost_table.make(report.costs_by_task)
    if table is None:
        return pairs(rows)
    name = "What a run took"
    shown = tables.table(table, name, len(table.stub))
    return join([pairs(rows), tag("h3", name), shown, bullets(table.notes, class_="notes")])


def recipe(report: Report) -> Markup:
    """Show the recipe as written, those it extends below it, and what was set on the command line."""
    written = report.recipe
    protocol = [] if written.reading is None else [("protocol", written.reading)]
    parts: list[str] = [pairs([("model", written.model), *protocol, ("file", written.path.name)])]
    if written.overrides:
        parts.append(pairs([(f"--set {name}", str(value)) for name, value in written.overrides.items()]))
    for name, text in _texts(written):
        parts.append(fold(name, preformatted(text)))
    return join(parts)


def environment(report: Report) -> Markup:
    """Show each distinct environment that records were made in."""
    if not report.environments:
        return tag("p", "No record says.")
    return join(pairs(_flat(environment)) for environment in report.environments)


def _cut(runs: Iterable[str]) -> list[str]:
    names = list(runs)
    return names[:LISTED] + ([f"and {len(names) - LISTED} more"] if len(names) > LISTED else [])


def _texts(recipe: Recipe) -> Iterable[tuple[str, str]]:
    """Yield the text of each file of a recipe with its name, the recipe first, then what it extends."""
    # A recipe of a test has no file.
    for path in extending.chain(recipe.path) if recipe.path.is_file() else ():
        yield path.name, files.read_text(path, "recipe")


def _flat(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Return an environment as names and values, the versions of its packages in one line."""
    rows = []
    for name, value in environment.items():
        if isinstance(value, dict):
            rows.append((name, ", ".join(f"{key} {each}" for key, each in value.items() if each is not None)))
        elif value is not None:
            rows.append((name, str(value)))
    return rows
