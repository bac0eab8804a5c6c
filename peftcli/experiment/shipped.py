"""Which of the recipes that come with the program a recipe is, extends, or was copied from. No torch."""

from pathlib import Path

from peftcli import documents
from peftcli.experiment import extending
from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.files import read_text


def base(recipe: Recipe) -> Recipe | None:
    """Return the recipe as shipped; of the user's own as its file has it, without `--set`; None where there is no file.

    Raises UserError where it cannot be read.
    """
    if not recipe.path.is_file():
        return None
    for file in extending.chain(recipe.path):
        if is_shipped(file):
            return recipes.load(file)
    # A copy is known by what makes it a paper's: others have no claims that another model or seed would decide.
    copied = _copied_from(recipe) if (recipe.table or {}).get("model") else None
    return recipes.load(copied or recipe.path)


def is_shipped(file: Path) -> bool:
    """Whether a file lies in the folder of the recipes that come with the program."""
    return file.resolve().is_relative_to(recipes.root().resolve())


def name(file: Path) -> str:
    """Return the shipped name of a recipe (`transferability/table1`), or the file's name of a user's own.

    It holds no machine's path, so that the same records give the same bytes everywhere.
    """
    if not is_shipped(file):
        return file.name
    return file.resolve().relative_to(recipes.root().resolve()).with_suffix("").as_posix()


def _copied_from(recipe: Recipe) -> Path | None:
    """Return the shipped recipe that has this one's title, or the same printed cells beside it."""
    table = recipe.path.parent / str((recipe.table or {}).get("published"))
    printed = read_text(table, "published table") if table.is_file() else None
    for file in (recipes.root() / f"{each}.yaml" for each in recipes.shipped()):
        cells = file.with_suffix(".csv")
        if printed is not None and cells.is_file() and read_text(cells, "published table") == printed:
            return file
        # Reading YAML takes a while: only of a file that has the title somewhere.
        titled = recipe.title in read_text(file, "recipe")
        if titled and documents.load(file, "recipe").get("title") == recipe.title:
            return file
    return None
