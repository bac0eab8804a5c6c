"""How a recipe's runs are other ones than those of the recipe as shipped: `--set`, copies and `extends` alike. No torch."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from peftcli.experiment import plan, shipped
from peftcli.experiment.plan import Planned
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.run import Run, canonical
from peftcli.experiment.settings import WITHOUT_EFFECT
from peftcli.models import catalogue

# The recipe's keys that change no run: how results are shown and judged, and where the file lies.
REPORT_ONLY = frozenset({"title", "table", "figures", "claims", "notes", "path"})
LISTED = 6  # tasks and strategies named of one departure; more are counted

Pair = tuple[str, str]  # a task's name and a strategy's
Variants = dict[Pair, dict[bytes, list[Run]]]  # runs by pair, then by their options in canonical form
Matched = list[tuple[Pair, Sequence[Run], Sequence[Run]]]  # runs here, and those as shipped
Difference = tuple[str, str, str]  # what, here, as shipped


@dataclass(frozen=True)
class Departure:
    """One thing that is otherwise: what (`epochs`, `lora rank`, `tasks`), what it is here, and what as shipped.

    `here` is empty for what was left out, `shipped` for what was added. `where` names the tasks and strategies of which
    that is so, none where it is so of all.
    """

    key: str
    here: str
    shipped: str
    where: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """It in words: `epochs 1.0 instead of 20.0 (rte)`, `tasks without qnli`."""
        words = f"{self.key} {self.here} instead of {self.shipped}"
        if not self.here or not self.shipped:
            words = f"{self.key} with {self.here}" if self.here else f"{self.key} without {self.shipped}"
        more = [f"{len(self.where) - LISTED} more"] if len(self.where) > LISTED else []
        where = ", ".join([*self.where[:LISTED], *more])
        return f"{words} ({where})" if where else words


@dataclass(frozen=True)
class Departures:
    """All that is otherwise than in the recipe `name`: the seeds, and apart from them the `changes`.

    `counts`: how many seeds a task and strategy have here and as shipped, where these are not as many.
    """

    name: str = ""
    changes: tuple[Departure, ...] = ()
    seeds: tuple[Departure, ...] = ()
    counts: Mapping[Pair, tuple[int, int]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All of it in words; empty where nothing is otherwise."""
        return "; ".join(departure.text for departure in (*self.changes, *self.seeds))


NONE = Departures()


def departures(recipe: Recipe, planned: Sequence[Planned] | None = None) -> Departures:
    """Return how a recipe's runs differ from those of the shipped recipe that it is, extends, or was copied from.

    A recipe of the user's own is compared with its file, so that `--set` is told of it too; one without a file is not
    compared. `planned` are the recipe's runs, where they are at hand. Raises UserError where a recipe cannot be planned.
    """
    base = shipped.base(recipe)
    if base is None or (base.path == recipe.path and _of_runs(base) == _of_runs(recipe)):
        return NONE
    here, there = _variants(planned or plan.expand(recipe)), _variants(plan.expand(base))
    matched, options = _match(here, there)
    changes = [
        *_unlike("model", catalogue.name(recipe.model), catalogue.name(base.model)),
        *_unlike("protocol", recipe.reading or "none", base.reading or "none"),
        *_more_or_less("tasks", [task for task, _ in here], [task for task, _ in there]),
        *_more_or_less("strategies", [strategy for _, strategy in here], [strategy for _, strategy in there]),
        *options,
        *_throughout(matched, lambda runs: {"learning_rates": _each(run.learning_rate for run in runs)}),
        *_throughout(matched, _settings),
    ]
    return Departures(
        name=shipped.name(base.path),
        changes=tuple(changes),
        seeds=tuple(_throughout(matched, lambda runs: {"seeds": _seeds(runs)})),
        counts=dict(_counts(matched)),
    )


def _of_runs(recipe: Recipe) -> dict[str, Any]:
    """A recipe without what changes no run."""
    return recipe.model_dump(exclude=set(REPORT_ONLY))


def _variants(planned: Iterable[Planned]) -> Variants:
    variants: Variants = {}
    for run in (each.run for each in planned):
        variants.setdefault((run.task, run.strategy), {}).setdefault(canonical(run.options), []).append(run)
    return variants


def _match(here: Variants, there: Variants) -> tuple[Matched, list[Departure]]:
    """Match runs of one task and strategy by their options, what is left over in its order; and say which options differ."""
    matched: Matched = []
    differing: dict[Difference, set[Pair]] = {}
    for pair in (pair for pair in here if pair in there):
        ours, theirs = here[pair], there[pair]
        matched += [(pair, ours[options], theirs[options]) for options in ours if options in theirs]
        left = [ours[options] for options in ours if options not in theirs]
        missing = [theirs[options] for options in theirs if options not in ours]
        differences: list[Difference] = []
        for one in left:
            # The variant that it is most like: what was changed is told, not two variants with all of their options.
            other = min(missing, key=lambda runs: len(_options(one[0], runs[0])), default=None)
            if other is None:
                differences.append(("strategies", one[0].variant, ""))
                continue
            missing.remove(other)
            matched.append((pair, one, other))
            differences += _options(one[0], other[0])
        differences += [("strategies", "", runs[0].variant) for runs in missing]
        for difference in differences:
            differing.setdefault(difference, set()).add(pair)
    of_strategy = {strategy: {pair for pair in here if pair[1] == strategy} for _, strategy in here}
    return matched, [
        Departure(*difference, _where(pairs, set().union(*(of_strategy[strategy] for _, strategy in pairs))))
        for difference, pairs in differing.items()
    ]


def _options(ours: Run, theirs: Run) -> list[Difference]:
    """Return the options in which two variants of a strategy differ."""
    return [
        (f"{ours.strategy} {option}", _word(value), _word(theirs.options[option]))
        for option, value in ours.options.items()
        if value != theirs.options[option]
    ]


def _throughout(matched: Matched, describe: Callable[[Sequence[Run]], Mapping[str, str]]) -> list[Departure]:
    """Return what a description of runs, by key, says otherwise of ours than of theirs, each with where that is so."""
    differing: dict[Difference, set[Pair]] = {}
    for pair, ours, theirs in matched:
        mine, its = describe(ours), describe(theirs)
        for key in (key for key in mine if mine[key] != its[key]):
            differing.setdefault((key, mine[key], its[key]), set()).add(pair)
    everywhere = {pair for pair, _, _ in matched}
    return [Departure(*difference, _where(pairs, everywhere)) for difference, pairs in differing.items()]


def _settings(runs: Sequence[Run]) -> dict[str, str]:
    """Every training setting of runs in words, with each of its values where they differ in it, as in `train_size`."""
    distinct = {id(run.protocol): run.protocol for run in runs}.values()
    protocols = [protocol.model_dump(exclude={*WITHOUT_EFFECT}) for protocol in distinct]
    return {name: _each(protocol[name] for protocol in protocols) for name in protocols[0]}


def _where(pairs: set[Pair], everywhere: set[Pair]) -> tuple[str, ...]:
    """Name pairs: nothing for all of them, the tasks or the strategies where it is all of these, else each."""
    if pairs == everywhere:
        return ()
    tasks, strategies = ({pair[at] for pair in pairs} for at in (0, 1))
    if pairs == {pair for pair in everywhere if pair[0] in tasks}:
        return tuple(sorted(tasks))
    if pairs == {pair for pair in everywhere if pair[1] in strategies}:
        return tuple(sorted(strategies))
    return tuple(f"{strategy} on {task}" for task, strategy in sorted(pairs))


def _counts(matched: Matched) -> Iterator[tuple[Pair, tuple[int, int]]]:
    for pair, ours, theirs in matched:
        had, wanted = len({run.seed for run in ours}), len({run.seed for run in theirs})
        if had != wanted:
            yield pair, (had, wanted)


def _seeds(runs: Sequence[Run]) -> str:
    """The seeds of some runs as a recipe may write them: their number where they count from 0."""
    seeds = sorted({run.seed for run in runs})
    return str(len(seeds)) if seeds == list(range(len(seeds))) else _word(seeds)


def _unlike(key: str, here: str, there: str) -> list[Departure]:
    return [] if here == there else [Departure(key, here, there)]


def _more_or_less(key: str, here: Sequence[str], there: Sequence[str]) -> Iterator[Departure]:
    """Yield what only one side has, in its order."""
    if added := [each for each in dict.fromkeys(here) if each not in there]:
        yield Departure(key, ", ".join(added), "")
    if left_out := [each for each in dict.fromkeys(there) if each not in here]:
        yield Departure(key, "", ", ".join(left_out))


def _each(values: Iterable[Any]) -> str:
    """Every distinct value once, in words, numbers in their order."""
    distinct = {_word(value): value for value in values}
    numbers = all(isinstance(value, int | float) for value in distinct.values())
    return ", ".join(sorted(distinct, key=lambda word: (distinct[word] if numbers else 0, word)))


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
