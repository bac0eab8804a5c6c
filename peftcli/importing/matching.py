"""Which of a recipe's runs a row is like, in all but its seed. No torch."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from peftcli.errors import UserError
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run
from peftcli.experiment.settings import WITHOUT_EFFECT
from peftcli.importing.header import OPTION, SETTING
from peftcli.importing.rows import Row
from peftcli.models import catalogue
from peftcli.records import imported
from peftcli.report.table import layout
from peftcli.report.table.selectors import Selector, matches

RATES_ALIKE = 1e-6  # relative: a table may hold its rates in 32 bits


def one_a_cell(planned: Iterable[Planned]) -> list[Planned]:
    """Return a recipe's runs without those that differ in their seed alone: the first of each."""
    first: dict[imported.Cell, Planned] = {}
    for each in planned:
        first.setdefault(imported.cell(each.run), each)
    return list(first.values())


def find(row: Row, cells: Iterable[Planned], recipe: Recipe) -> Planned | str:
    """Return which of `one_a_cell` a row is like, or in words what of it no run of the recipe has.

    An option or setting that a row leaves empty says nothing, unless that alone tells runs apart: then it is not set.
    Raises UserError for a strategy that cannot be read.
    """
    left = list(cells)
    # Narrowed step by step, so that the words are of the first thing that keeps a row out: its task before its rate.
    for what, fits in _tests(recipe, row):
        fitting = [each for each in left if fits(each)]
        if not fitting:
            return what
        left = fitting
    if len(left) > 1:
        left = [each for each in left if all(_value(each.run, name) in (None, ...) for name in row.empty)] or left
    return left[0] if len(left) == 1 else f"fits several cells, for it does not say its {_apart(left)}"


def _tests(recipe: Recipe, row: Row) -> Iterable[tuple[str, Callable[[Planned], bool]]]:
    """Yield what a row says, in words, and whether a planned run has it: from the task down to the settings."""
    words = row.words
    if "model" in words:
        names = (recipe.model, catalogue.name(recipe.model), catalogue.pin(recipe.model)[0])
        yield f"model={words['model']}", lambda _: words["model"] in names
    if "task" in words:
        yield f"task={words['task']}", lambda each: each.run.task == words["task"]
    if "strategy" in words:
        yield f"strategy={words['strategy']}", _of_strategy(recipe, words["strategy"], row)
    for name, value in row.settings.items():
        if name.removeprefix(SETTING) not in WITHOUT_EFFECT:  # they are no part of a run, whoever made it
            yield f"{name}={value}", _with_setting(name, value)
    if (rate := row.learning_rate) is not None:
        what = f"{words.get('strategy', '')} learning_rate={layout.rate_text(rate)}".strip()
        yield what, lambda each: math.isclose(each.run.learning_rate, rate, rel_tol=RATES_ALIKE)


def _of_strategy(recipe: Recipe, text: str, row: Row) -> Callable[[Planned], bool]:
    """Say which runs are of a strategy, written as on the command line or in the recipe's own word for it."""
    labels = [entry.label for _, entry in recipe.strategies]
    # A label may have a colon, as a name with options does, so labels are looked for first.
    if text in labels:
        return lambda each: labels[each.strategy] == text
    try:
        selector = Selector.parse(text)
    except UserError as error:
        raise UserError(f"row {row.number} (from 0): strategy {error}") from None
    return lambda each: each.run.strategy == selector.name and matches(each.run.options, selector.wanted)


def _with_setting(name: str, value: Any) -> Callable[[Planned], bool]:
    return lambda each: matches({name: _value(each.run, name)}, {name: value})


def _value(run: Run, name: str) -> Any:
    """Return a run's option or setting of a name, `...` where it has none; without a prefix options hide settings."""
    plain = name.removeprefix(OPTION).removeprefix(SETTING)
    option = ... if name.startswith(SETTING) else run.options.get(plain, ...)
    return getattr(run.protocol, plain, ...) if option is ... and not name.startswith(OPTION) else option


def _apart(left: Iterable[Planned]) -> str:
    """Name what tells runs apart that a row fits."""
    left = list(left)
    # Strategies differ in all of their options, which says no more than their names.
    one_strategy = len({each.run.strategy for each in left}) == 1
    described = [
        {
            "task": each.run.task,
            "strategy": each.run.strategy,
            "learning_rate": each.run.learning_rate,
            **each.run.protocol.model_dump(exclude={*WITHOUT_EFFECT}),
            **(each.run.options if one_strategy else {}),
        }
        for each in left
    ]
    names = dict.fromkeys(name for each in described for name in each)
    return ", ".join(name for name in names if len({repr(each.get(name)) for each in described}) > 1)
