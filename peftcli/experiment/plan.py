"""From a recipe to runs, their cohorts and their states. Trains nothing, imports no torch."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from peftcli import documents
from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment import held_out, protocols
from peftcli.experiment.protocols import Setting
from peftcli.experiment.recipe import PROTOCOL, Entry, Recipe
from peftcli.experiment.run import Run
from peftcli.experiment.settings import FLOATS, NAMES, Training
from peftcli.models import catalogue
from peftcli.strategies import registry
from peftcli.tasks import imported_only, own_data
from peftcli.tasks import registry as tasks

Origins = dict[str, str]  # setting -> where its value came from
ONLY = ("task", "strategy", "seed", "learning_rate", "id")  # what `--only` chooses runs by


@dataclass(frozen=True)
class Planned:
    """A run with the recipe entries it comes from, and where each of its settings and of its strategy's options came from."""

    run: Run
    strategy: int
    task: int
    origins: Origins
    options: Origins


def expand(recipe: Recipe) -> list[Planned]:
    """Make every run of a recipe, in its order: strategy, task, learning rate, seed. Raises UserError."""
    planned, unreadable = expand_readable(recipe)
    for error in unreadable.values():
        raise error
    return planned


def expand_readable(recipe: Recipe) -> tuple[list[Planned], dict[str, UserError]]:
    """Make the runs of the tasks whose data can be planned with, and say by task why the others' cannot.

    Runs hold what the user's own files say (labels, a fingerprint). Raises UserError for what is wrong with the recipe.
    """
    protocol = _protocol(recipe)
    described, unreadable = _descriptions(recipe)
    planned: dict[str, Planned] = {}
    for s, (strategy, strategy_entry) in enumerate(recipe.strategies):
        for t, (task, task_entry) in enumerate(recipe.tasks):
            if task in unreadable or (strategy_entry.tasks is not None and task not in strategy_entry.tasks):
                continue
            training, origins = _training(recipe, protocol, (task, task_entry), (strategy, strategy_entry))
            metrics = own_data.task(task, described[task]).metrics
            if training.metric and training.metric not in metrics:
                raise UserError(f"task {task}: {unknown('metric', training.metric, metrics)}")
            options, said = _options(protocol, task, strategy, strategy_entry)
            # The nearest says: the strategy's entry, then the task's, then the recipe.
            rates = strategy_entry.learning_rates or task_entry.learning_rates or recipe.learning_rates
            seeds = strategy_entry.seeds or task_entry.seeds or recipe.seeds
            for rate in rates:
                for seed in seeds:
                    run = Run(
                        model=catalogue.name(recipe.model),
                        task=task,
                        strategy=strategy,
                        options=options,
                        learning_rate=float(rate),
                        seed=seed,
                        protocol=training,
                        data=described[task],
                    )
                    # Two entries may come to the same run (a strategy listed with its default): it is trained once.
                    planned.setdefault(run.id, Planned(run, s, t, origins, said))
    return list(planned.values()), unreadable


def select(planned: Iterable[Planned], only: Iterable[str], unreadable: Collection[str] = ()) -> list[Planned]:
    """Keep what every `key=value` of `--only` fits (task, strategy, seed, learning_rate, id).

    Raises UserError where that is no run, unless a task that could not be planned is among the `unreadable` ones.
    """
    chosen = list(planned)
    for pair in only:
        key, equals, value = pair.partition("=")
        if not equals or key not in ONLY:
            raise UserError(f"--only: {unknown('key', key, ONLY)}")
        # Numbers are compared as numbers, so that `learning_rate=1e-3` finds 0.001.
        wanted = _text(documents.parse(value)) if key in ("seed", "learning_rate") else value
        chosen = [p for p in chosen if _text(getattr(p.run, key)) == wanted]
    if not chosen and not unreadable:
        raise UserError(f"--only {' '.join(only)} leaves no run of the recipe")
    return chosen


def select_tasks(unreadable: Mapping[str, UserError], only: Iterable[str]) -> dict[str, UserError]:
    """Keep the tasks that could not be planned and that `--only` asks for."""
    pairs = [pair.partition("=") for pair in only]
    # A run's id is known of runs that could be planned alone.
    return {
        task: error
        for task, error in unreadable.items()
        if all(key not in ("task", "id") or (key == "task" and value == task) for key, _, value in pairs)
    }


def cohorts(runs: Iterable[Run], size: int) -> list[tuple[Run, ...]]:
    """Group runs alike in all but learning rate and seed, at most `size` together, in the recipe's order.

    The grouping looks at the whole recipe, never at what is done already, so the runs a run trains with are always the same.
    """
    return [part for group in alike(runs) for part in cut(group, size)]


def alike(runs: Iterable[Run]) -> list[tuple[Run, ...]]:
    """Group runs alike in all but learning rate and seed: all that may train together."""
    # By key, not by neighbourhood: the recipe's order puts runs that are alike apart where entries repeat.
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.cohort_key(), []).append(run)
    return [tuple(group) for group in groups.values()]


def cut(runs: tuple[Run, ...], size: int) -> list[tuple[Run, ...]]:
    """A cohort in parts of at most `size` runs."""
    return [runs[start : start + size] for start in range(0, len(runs), size)]


def _protocol(recipe: Recipe) -> tuple[protocols.Protocol, str] | None:
    """The protocol beside a recipe and the reading of it that the recipe names, by default `described`; None without."""
    file = recipe.path.parent / PROTOCOL
    if recipe.reading is None:
        return None
    if not file.is_file():
        raise UserError(f"recipe {recipe.path.name} names protocol {recipe.protocol!r}, but no {file} is there")
    return protocols.load(file, recipe.reading), recipe.reading


def _training(
    recipe: Recipe,
    protocol: tuple[protocols.Protocol, str] | None,
    task: tuple[str, Entry],
    strategy: tuple[str, Entry],
) -> tuple[Training, Origins]:
    """Lay a run's settings over each other, weakest first: defaults, protocol, recipe, task, strategy, --set."""
    values: dict[str, Any] = dict(defaults())
    origins = dict.fromkeys(values, "defaults.yaml")
    for where, stated, _ in protocol[0].layers(protocol[1], task[0], strategy[0]) if protocol else []:
        values |= {name: setting.value for name, setting in stated.items()}
        origins |= {name: f"protocol {where}: {setting.source}" for name, setting in stated.items()}
    for where, settings in (
        ("recipe", recipe.training),
        (f"recipe, task {task[0]}", task[1].training),
        (f"recipe, strategy {strategy[0]}", strategy[1].training),
        ("--set", recipe.overrides),
    ):
        for name in settings:
            if name not in NAMES:
                raise UserError(f"{where}: {unknown('setting', name, NAMES)}")
        values |= settings
        origins |= dict.fromkeys(settings, where)
    try:
        training = Training.model_validate(_as_floats(values))
    except ValidationError as error:
        raise first_error(error, "training", "setting", NAMES) from None
    if training.validation_split == "authors":
        held_out.rows(task[0])  # refused before anything is trained
    return training, origins


def _options(
    protocol: tuple[protocols.Protocol, str] | None, task: str, strategy: str, entry: Entry
) -> tuple[dict[str, Any], Origins]:
    """A strategy's options, the entry's over the protocol's over its own defaults, and where each is from. Raises UserError."""
    stated: dict[str, Setting] = {}
    origins: Origins = {}
    for where, _, options in protocol[0].layers(protocol[1], task, strategy) if protocol else []:
        stated |= options
        origins |= {name: f"protocol {where}: {setting.source}" for name, setting in options.items()}
    origins |= dict.fromkeys(entry.options, f"recipe, strategy {strategy}")
    whole = registry.get(strategy).options({name: setting.value for name, setting in stated.items()} | entry.options)
    return whole, {name: origins.get(name, f"the strategy {strategy}") for name in whole}


def _descriptions(recipe: Recipe) -> tuple[dict[str, dict[str, Any] | None], dict[str, UserError]]:
    """Read what runs hold of each task (None for a row of `tasks`), and by task why it cannot be read from its files."""
    for task, entry in recipe.tasks:
        _check_entry(recipe, task, entry)
    _check_one_data_a_name(recipe)
    described: dict[str, dict[str, Any] | None] = {}
    unreadable: dict[str, UserError] = {}
    for task, entry in recipe.tasks:
        try:
            described[task] = own_data.describe(recipe.path, task, entry.options) if entry.options else None
        except UserError as error:
            unreadable[task] = error
    return described, unreadable


def _check_entry(recipe: Recipe, task: str, entry: Entry) -> None:
    """Refuse a task that is neither a row of `tasks` nor described, or is described wrongly, whatever its files hold."""
    # Overrides, `label` and `note` are no options: what is left describes the task.
    if not entry.options:
        tasks.get(task)
    elif task in tasks.TASKS and set(entry.options) & set(own_data.Description.model_fields):
        raise UserError(
            f"task {task}: that is the name of a task that peftcli has: call the one on your own data otherwise, "
            f"such as my_{task}"
        )
    elif task in tasks.TASKS:
        legal = ("training", "learning_rates", "seeds", "label", "note")
        raise UserError(f"task {task}: {unknown('key', next(iter(entry.options)), legal)}")
    elif imported_only.KEY in entry.options:
        own_data.describe(recipe.path, task, entry.options)
    elif "data" not in entry.options:
        raise unknown("task", task, tasks.TASKS)
    else:
        own_data.entry(recipe.path, task, entry.options)


def _check_one_data_a_name(recipe: Recipe) -> None:
    """Refuse two tasks of one name on different data: runs find their files by the task's name. Raises UserError."""
    files: dict[str, Path] = {}
    for task, entry in recipe.tasks:
        if "data" in entry.options:
            file = own_data.location(recipe.path, entry.options)
            if files.setdefault(task, file) != file:
                raise UserError(f"task {task}: two tasks have this name, on {files[task]} and on {file}: rename one")


def _as_floats(values: dict[str, Any]) -> dict[str, Any]:
    """Turn whole numbers into floats where a setting is a float, so that `epochs: 3` and `3.0` are one run."""
    # Otherwise the two would differ in JSON, and so in the id.
    plain = {n for n, v in values.items() if n in FLOATS and isinstance(v, int) and not isinstance(v, bool)}
    return {name: float(value) if name in plain else value for name, value in values.items()}


def _text(value: Any) -> str:
    return str(float(value)) if isinstance(value, int | float) else str(value)


@cache
def defaults() -> dict[str, Any]:
    """The settings that stand where neither recipe nor protocol says otherwise."""
    return documents.load(Path(__file__).parent / "defaults.yaml", "defaults")
