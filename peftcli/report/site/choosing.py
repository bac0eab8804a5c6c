"""Which recipes a site reports: of those that come with the program, and those named, the ones that plan what is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peftcli import records
from peftcli.errors import UserError
from peftcli.experiment import plan, shipped
from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.models import catalogue
from peftcli.records import Record, imported


@dataclass(frozen=True)
class Results:
    """A results folder: its sound records, and the files that are none, each with the reason.

    `of`: the models and tasks of the records, in pairs.
    """

    folder: Path
    records: tuple[Record, ...]
    damaged: tuple[tuple[Path, str], ...]
    of: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Choice:
    """A recipe that is reported from a results folder."""

    recipe: Recipe
    folder: Path


@dataclass(frozen=True)
class Chosen:
    """The reports of a site, by recipe and then by folder; what was left out of them and why, a line each."""

    choices: tuple[Choice, ...]
    remarks: tuple[str, ...]
    damaged: tuple[tuple[Path, str], ...]
    records: int


@dataclass(frozen=True)
class Recorded:
    """Which records of a folder are of runs that a recipe plans, by their ids, and whether that is all that it plans."""

    recipe: Recipe
    ids: frozenset[str]
    whole: bool


def choose(folders: Sequence[Path], named: Sequence[Recipe]) -> Chosen:
    """Find the recipes whose runs are recorded in these folders: the `named` ones, and any that come with the program.

    A shipped recipe that shares runs with another is reported where it is complete, or where more of it is recorded than
    of that other. Raises UserError for a folder without a sound record, one whose records fit no recipe, and a named
    recipe of which no folder has a run.
    """
    results = [read(folder) for folder in {folder.resolve(): folder for folder in folders}.values()]
    files = {recipe.path.resolve(): recipe for recipe in named}
    of_program = [recipes.load(recipes.root() / f"{name}.yaml") for name in recipes.shipped()]
    # In the order of their names, the user's own last, as they were named.
    everyone = list({**{recipe.path.resolve(): recipe for recipe in of_program}, **files}.values())
    choices: list[Choice] = []
    remarks: list[str] = []
    for each in results:
        recorded = [one for recipe in everyone if (one := _recorded(recipe, each)).ids]
        if not recorded:
            raise UserError(
                f"{each.folder}: its {len(each.records)} records fit none of the recipes that come with peftcli: "
                "name theirs with --recipe FILE"
            )
        # Recipes of one paper share runs: of one with nothing but another's, nobody has begun to train its table.
        shown = [
            one
            for one in recorded
            if one.whole or one.recipe.path.resolve() in files or not any(one.ids < other.ids for other in recorded)
        ]
        choices += [Choice(one.recipe, each.folder) for one in shown]
        remarks += _remarks(each, shown, [one for one in recorded if one not in shown])
    for recipe in files.values():
        if not any(choice.recipe is recipe for choice in choices):
            where = ", ".join(str(each.folder) for each in results)
            raise UserError(f"recipe {shipped.name(recipe.path)}: no run of it is recorded in {where}")
    order = {id(recipe): at for at, recipe in enumerate(everyone)}
    choices.sort(key=lambda choice: order[id(choice.recipe)])
    damaged = tuple(file for each in results for file in each.damaged)
    return Chosen(tuple(choices), tuple(remarks), damaged, sum(len(each.records) for each in results))


def read(folder: Path) -> Results:
    """Read a results folder. Raises UserError where it is none, or holds no sound record."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder of results")
    sound, damaged = records.read_all(folder)
    if sound:
        of = {(str(record.body["run"].get("model")), str(record.body["run"].get("task"))) for record in sound}
        return Results(folder, tuple(sound), tuple(damaged), frozenset(of))
    if damaged:
        raise UserError(f"{folder} holds no sound record: {damaged[0][0]}: {damaged[0][1]}")
    # Most likely the folder above was meant to be searched.
    inside = [str(part) for part in sorted(folder.iterdir()) if part.is_dir() and records.read_all(part)[0]]
    hint = f": did you mean {', '.join(inside)}?" if inside else ": give the folders that sweeps wrote to"
    raise UserError(f"{folder} holds no record{hint}")


def _recorded(recipe: Recipe, results: Results) -> Recorded:
    """Find which records are of runs that a recipe plans; imported ones stand in a cell whatever their seed."""
    model = catalogue.name(recipe.model)
    # Planning takes a hundred times as long as this look.
    if not any((model, task) in results.of for task, _ in recipe.tasks):
        return Recorded(recipe, frozenset(), False)
    planned = [each.run for each in plan.expand(recipe)]
    trained = {record.id for record in results.records if "origin" not in record.body}
    others = [record for record in results.records if "origin" in record.body]
    cells = {imported.cell(run) for run in planned} if others else set()
    filled = {record.id: key for record in others if (key := imported.cell_of(record)) in cells}
    # Of imported runs a cell has as many as it has: it lacks none.
    whole = all(run.id in trained or (filled and imported.cell(run) in filled.values()) for run in planned)
    return Recorded(recipe, frozenset({run.id for run in planned} & trained) | filled.keys(), whole)


def _remarks(results: Results, shown: Sequence[Recorded], left: Sequence[Recorded]) -> list[str]:
    """Say which recipes are left out, and how many records fit no recipe."""
    remarks = [
        f"{results.folder}: left out {shipped.name(one.recipe.path)}: its {len(one.ids)} recorded runs are all in "
        f"{shipped.name(next(other for other in shown if one.ids < other.ids).recipe.path)}; --recipe shows it too"
        for one in left
    ]
    unfit = len(results.records) - len(frozenset().union(*(one.ids for one in (*shown, *left))))
    if unfit:
        remarks.append(f"{results.folder}: {unfit} records fit none of the recipes: name theirs with --recipe FILE")
    return remarks
