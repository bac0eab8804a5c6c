"""What a reader of a table must know: how its numbers were made and chosen, and what is wrong or missing. No torch."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from peftcli.experiment.departures import Departures
from peftcli.experiment.recipe import Recipe
from peftcli.records import imported, origin
from peftcli.report.statistics import describe
from peftcli.report.table import naming, ties
from peftcli.report.table.naming import listed
from peftcli.report.table.selection import COMPUTED, Outcome
from peftcli.report.table.spec import View
from peftcli.report.table.table import Cell, Table
from peftcli.tasks import registry as tasks


def add(table: Table, recipe: Recipe, outcomes: Sequence[Outcome]) -> Table:
    """Return the table with its notes, each once, from how its numbers were made to what is wrong with them."""
    notes = [
        *_method(table),
        *_choice(table),
        *_tasks(table),
        *ties.notes(table),
        *_troubles(table),
        *_mixtures(outcomes),
        *_computed(table, outcomes),
        *_imported(table, outcomes),
        *_copied(table),
        *recipe.notes,
    ]
    return replace(table, notes=tuple(dict.fromkeys(notes)))


def otherwise(table: Table, apart: Departures) -> Iterator[str]:
    """What is otherwise than in the recipe as shipped, which has the paper's protocol where its table is a paper's."""
    if apart.text:
        papers = ", the paper's protocol," if table.view.model is not None else ""
        yield f"Not as {apart.name}{papers} has it: {apart.text}."


def _method(table: Table) -> Iterator[str]:
    """What a number is: its unit, and what it is the mean or maximum of."""
    view = table.view
    unit = "Metrics are times 100" if view.scale == "percent" else "Metrics are fractions"
    if view.cell == "maximum":
        yield f"{unit}; a cell is the maximum over all learning rates and seeds."
        return
    # Strategies and tasks may override a recipe's seeds.
    counts = sorted({cell.planned for cell in table.cells()})
    if counts and counts[-1] == 1:
        yield f"{unit}; a cell is one run: 1 seed a cell, so nothing says how much its number varies by chance."
        return
    divisor = "n - 1, the sample's" if view.ddof else "n, the population's"
    yield f"{unit}; a cell is the mean ± standard deviation over seeds (ddof {view.ddof}: divided by {divisor})."
    small = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}" if counts else "0"
    few = ": few, so a deviation is itself uncertain" if counts and counts[0] < describe.FEW else ""
    yield f"{small} seeds a cell{few}; where fewer ended with a value, n is shown."


def _choice(table: Table) -> Iterator[str]:
    """How learning rates were chosen, and how much choosing on the numbers that are shown flatters them."""
    view = table.view
    rates = max((len(cell.by_rate) for cell in table.cells()), default=0)
    if view.select.startswith("best") and rates > 1:
        where = "a held-out part of the training set" if view.by_validation else "the split that is also reported"
        yield f"Learning rate: the best of up to {rates} by mean over seeds on {where}, for each task and strategy."
        yield from _at_an_end(table)
    flattery = [cell.flattery for cell in table.cells() if cell.flattery is not None]
    # Chosen on the reported split, the best of several noisy means is above what the same rate would score anew.
    average = describe.mean(flattery)
    if average is not None:
        most = max((cell for cell in table.cells() if cell.flattery is not None), key=lambda cell: cell.flattery or 0)
        yield (
            f"That choice flatters: the chosen rate's mean is {number(average, view)} above the mean of the others' on "
            f"average, at most {number(most.flattery, view)} ({most.strategy} on {most.column})."
        )


def _at_an_end(table: Table) -> Iterator[str]:
    """Which cells' chosen rate is the lowest or the highest of those tried: beyond it nobody has looked."""
    tried = [(cell, [rate for rate, mean in cell.by_rate.items() if mean is not None]) for cell in table.cells()]
    for end, word, side in ((min, "lowest", "lower"), (max, "highest", "higher")):
        at_end = [cell for cell, rates in tried if len(rates) > 1 and cell.learning_rate == end(rates)]
        if at_end:
            yield f"The best rate is the {word} of those tried, and a {side} one may be better: {naming.cells(at_end)}."


def _tasks(table: Table) -> Iterator[str]:
    """What a reader must know of a task, such as that it is synthetic; then what a constant answer scores."""
    # As the table's head has it: the paper's word for the task, where there is one.
    words = {column.column: column.path[0] for column in table.columns if column.column}
    for name in dict.fromkeys(cell.task for cell in table.cells()):
        if name in tasks.TASKS and tasks.TASKS[name].note:
            yield f"{words.get(name, name)}: {tasks.TASKS[name].note}."
    baselines = {c.path[0]: number(c.baseline, table.view) for c in table.columns if c.baseline is not None}
    if baselines:
        yield "A constant answer scores " + ", ".join(f"{name} {value}" for name, value in baselines.items()) + "."


def _troubles(table: Table) -> Iterator[str]:
    """Which runs collapsed, diverged, failed, were damaged or are missing, and which averages that costs."""
    for cell in table.cells():
        # A collapsed run ended and counts in the mean: the note says what the mean would be without it.
        if cell.collapsed and cell.mean is not None:
            with_them = _mean_std(cell.mean, cell.std, table.view)
            without = _mean_std(cell.mean_without_collapsed, cell.std_without_collapsed, table.view)
            words = f"{cell.strategy} on {cell.column} is {with_them} with and {without} without"
            yield f"Collapsed, one answer for every example: {listed(cell.collapsed)}; {words}."
    still = [c for c in table.cells() if c.std is not None and c.n > 1 and c.std < 10**-describe.DECIMALS]
    if still:
        yield f"No variance, every seed scored the same: {naming.cells(still)}."
    for word, runs_of in TROUBLES.items():
        # A run that fills several columns of its task is named once.
        runs = dict.fromkeys(run for cell in table.cells() for run in runs_of(cell))
        if runs:
            yield f"{word} ({len(runs)}): {listed(tuple(runs))}."
    # What one row lacks most others lack as well: they share a line.
    rows_with: dict[str, list[str]] = {}
    for row in table.rows:
        if row.average is not None and row.average.columns < row.average.planned:
            columns = f"{row.average.columns} of {row.average.planned} columns are there"
            rows_with.setdefault(columns, []).append(" ".join(row.path))
    for columns, rows in rows_with.items():
        yield f"No average of {listed(rows)}: {columns}."


TROUBLES: dict[str, Callable[[Cell], tuple[str, ...]]] = {
    "Diverged": lambda cell: cell.diverged,
    "Failed": lambda cell: cell.failed,
    "Damaged records": lambda cell: cell.damaged,
    "Not run yet": lambda cell: cell.missing,
}


def _mixtures(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Which runs were made with another model, tokenizer or data than others under the same names."""
    alike: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        alike.setdefault(origin.names(outcome.run.model_dump()), []).append(outcome)
    for (model, task, *_), together in alike.items():
        for kind in origin.mixed(outcome.origin for outcome in together):
            runs: dict[str, list[str]] = {}
            for outcome in together:
                if kind in outcome.origin:
                    runs.setdefault(outcome.origin[kind], []).append(outcome.run.describe())
            # Those of the one that most have need no names: the others are the strangers.
            first, *others = sorted(runs, key=lambda fingerprint: -len(runs[fingerprint]))
            words = "; ".join(f"{len(runs[each])} with {each}: {listed(tuple(runs[each]))}" for each in others)
            yield (
                f"Mixed: {task} on {model} has runs made with {len(runs)} {PLURALS[kind]} of the same name, "
                f"{len(runs[first])} with fingerprint {first} and {words}. Their numbers do not compare."
            )


PLURALS = {"model": "models", "tokenizer": "tokenizers", "data": "sets of data"}


def _computed(table: Table, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Which devices and precisions the runs were computed with, where those are several; then which cells mix them."""
    for key in COMPUTED:
        counts = Counter(outcome.computed[key] for outcome in outcomes if key in outcome.computed)
        if len(counts) < 2:
            continue
        shown = ", ".join(f"{value} ({count} run{'s' * (count > 1)})" for value, count in counts.most_common())
        cells = [f"{cell.strategy} on {cell.column}" for cell in table.cells() if key in cell.mixed]
        inside = f"; mixed within {listed(tuple(dict.fromkeys(cells)))}" if cells else ""
        yield f"Several {key}s: {shown}{inside}. Equal runs are equal to the bit on one of them alone."


def _imported(table: Table, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Which cells mix imported runs with trained ones, or runs of one seed, and where runs are fewer than planned."""
    cells = [cell for cell in table.cells() if cell.sources]
    if not cells:  # as most often: thousands of runs are then not asked for their cells
        return
    both = dict.fromkeys(f"{cell.strategy} on {cell.column}" for cell in cells if "source" in cell.mixed)
    if both:
        yield f"Runs of several sources within {listed(tuple(both))}."
    repeated = [cell for cell in cells if len(cell.values) < cell.planned and cell.mean is not None]
    if repeated:
        words = (f"{c.strategy} on {c.column} ({c.planned} runs, {len(c.values)} seeds)" for c in repeated)
        yield (
            f"Several runs of one seed: {listed(tuple(dict.fromkeys(words)))}; a cell is over all of its runs, a test over "
            "each seed's mean."
        )
    runs: dict[imported.Cell, list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault(imported.cell(outcome.run), []).append(outcome)
    fewer = [of for of in runs.values() if len(of) < max(outcome.planned_beside for outcome in of)]
    if fewer:
        words = (f"{_without_seed(of[0])} ({len(of)} of {max(o.planned_beside for o in of)})" for of in fewer)
        yield f"Fewer runs imported than the recipe plans: {listed(tuple(words))}."


def _without_seed(outcome: Outcome) -> str:
    return outcome.run.describe().rpartition(" seed=")[0]


def _copied(table: Table) -> Iterator[str]:
    """Which printed cells are not the paper's own."""
    by_source: dict[str, list[str]] = {}
    for cell in table.cells():
        if cell.published is not None and cell.published.copied_from:
            by_source.setdefault(cell.published.copied_from, []).append(f"{cell.strategy} on {cell.column}")
    for source, cells in by_source.items():
        yield f"† printed, but copied from {source} ({', '.join(cells)}): left out of differences and claims."


def _mean_std(mean: float | None, std: float | None, view: View) -> str:
    """Write a mean and its deviation; one run has none."""
    return number(mean, view) if std is None else f"{number(mean, view)}±{number(std, view)}"


def number(value: float | None, view: View) -> str:
    """Write a number with the table's decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.{view.decimals}f}"
