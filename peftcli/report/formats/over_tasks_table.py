"""What a report says over all tasks, as lines of text and as data: averages, differences and mean ranks."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from peftcli.report import over_tasks
from peftcli.report.formats.text_table import Line, Sheet, Text, clean
from peftcli.report.over_tasks import Key, OfStrategy, OverTasks
from peftcli.report.statistics.interquartile import RESAMPLES
from peftcli.report.statistics.mean_ranks import MeanRanks
from peftcli.report.table import build, naming
from peftcli.report.table.spec import View
from peftcli.report.table.table import Table


def make(table: Table) -> Sheet | None:
    """Put a table's summary over its tasks into words; None where there is none."""
    summary = over_tasks.summarise(table)
    if summary is None:
        return None
    # Each column that has something to say: its heading, and what it says of a strategy.
    columns: dict[str, Callable[[OfStrategy], str]] = {}
    view = table.view
    if view.average is not None:
        columns[f"{view.average.label} [95 %]"] = lambda each: _bounded(
            each.average, each.interval, f".{view.decimals}f"
        )
    if any(each.difference for each in summary.strategies):
        columns[f"IQM minus {summary.reference} [95 %]"] = lambda each: _difference(each, view)
    if summary.ranks is not None:
        columns["mean rank"] = lambda each: f"{each.rank:.2f}"
    names = [word for word in (*view.rows, *view.columns) if word not in ("task", "learning_rate")]
    return Sheet(
        title=f"Over {summary.tasks} tasks",
        stub=tuple(clean(view.labels.get(name, build.HEADERS.get(name, name))) for name in names),
        heads=tuple((clean(head),) for head in columns),
        lines=tuple(
            Line("ours", (*(Text(clean(word)) for word in each.key), *(Text(of(each)) for of in columns.values())))
            for each in summary.strategies
        ),
        legend=(),
        notes=tuple(map(clean, notes(summary, table))),
    )


def _difference(each: OfStrategy, view: View) -> str:
    apart = each.difference
    if apart is None:
        return ""
    ends = None if apart.low is None or apart.high is None else (apart.low, apart.high)
    return _bounded(apart.mean, ends, f"+.{view.decimals}f")


def _bounded(value: float, interval: tuple[float, float] | None, form: str) -> str:
    return f"{value:{form}}" + (f" [{interval[0]:{form}}, {interval[1]:{form}}]" if interval else "")


def notes(summary: OverTasks, table: Table) -> Iterator[str]:
    """Say how each number came about, what it is over, and which strategies lack it."""
    if table.view.average is not None:
        yield (
            f"{table.view.average.label}: over {summary.columns} columns, each seed's average first; its 95 % interval is "
            "Student's t over seeds, and there is none where columns have other seeds or fewer than three."
        )
    apart = [each.difference for each in summary.strategies if each.difference is not None]
    if apart:
        seeds = sorted({each.runs for each in apart})
        runs = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        yield (
            f"IQM minus {summary.reference}: the interquartile mean of the differences, seed by seed over {summary.tasks} "
            f"tasks ({runs} seeds each); its interval by {RESAMPLES:,} resamples of each task's seeds, for these tasks."
        )
    if summary.ranks is not None:
        yield in_words(summary.ranks, [" / ".join(each.key) for each in summary.strategies])
    if summary.columns > summary.tasks:
        yield "Several columns of one task count as one task (their mean), but in the average."
    collapsed = [" / ".join(each.key) for each in summary.strategies if each.collapsed]
    if collapsed:
        yield f"Intervals are not to be relied on where runs collapsed: {naming.listed(collapsed)}."
    if summary.left_out:
        yield f"Left out, not on every task: {naming.listed([' / '.join(key) for key in summary.left_out])}."


def in_words(ranks: MeanRanks, names: list[str]) -> str:
    """Say what the mean ranks show: Friedman's test, Nemenyi's critical difference, and who is not shown to differ."""
    if ranks.p_value is None:
        return f"Mean ranks over {ranks.tasks} tasks: every strategy scores the same."
    head = f"Mean ranks over {ranks.tasks} tasks (1: best): Friedman's p = {ranks.p_value:.2g}"
    if not ranks.differs:
        return f"{head}, so no strategy is shown to differ from another."
    groups = "; ".join(", ".join(names[at] for at in group) for group in ranks.alike())
    alike = f" Not shown to differ: {groups}." if groups else ""
    return f"{head}; two differ where they are {ranks.critical:.2f} or more apart (Nemenyi, 5 %).{alike}"


def to_json(table: Table) -> dict[str, Any] | None:
    """Return the summary over tasks as JSON-able data; groups by their strategies' words. None where there is none."""
    summary = over_tasks.summarise(table)
    if summary is None:
        return None

    def word(key: Key) -> str:
        return " / ".join(key)

    ranks = summary.ranks
    return {
        "columns": summary.columns,
        "tasks": summary.tasks,
        "reference": summary.reference,
        "strategies": [asdict(each) | {"key": word(each.key)} for each in summary.strategies],
        "left_out": [word(key) for key in summary.left_out],
        "friedman": ranks and {"statistic": ranks.statistic, "p_value": ranks.p_value},
        "critical_difference": ranks and ranks.critical,
        "not_shown_to_differ": ranks and [[word(summary.strategies[at].key) for at in of] for of in ranks.alike()],
    }
