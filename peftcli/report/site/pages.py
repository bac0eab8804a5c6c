"""The files of a site: the reports, each under an address of its own, and the index over them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from peftcli.experiment import shipped
from peftcli.records.record import safe
from peftcli.report.formats.html import index
from peftcli.report.formats.html.index import Entry
from peftcli.report.report import page
from peftcli.report.site.choosing import Choice, Chosen

INDEX = "index.html"
# GitHub Pages leaves out what begins with an underscore, unless this file is there.
AS_THEY_ARE = ".nojekyll"


def make(chosen: Chosen) -> Iterator[tuple[str, str]]:
    """Yield each file's name below the site's folder and its content, the index last: it links to the others.

    The same records give the same bytes. Raises UserError as `peftcli report` does.
    """
    yield AS_THEY_ARE, ""
    # Folders' own names: a path would tell of the machine, and differ on the next.
    labels = folder_labels([choice.folder for choice in chosen.choices])
    entries = []
    for choice, address in zip(chosen.choices, addresses(chosen.choices), strict=True):
        report, text = page(choice.recipe, choice.folder, against=True, index=INDEX)
        entries.append(Entry(shipped.name(choice.recipe.path), address, labels[choice.folder], report))
        yield address, text
    yield INDEX, index.render(entries, chosen.records)


def addresses(choices: Sequence[Choice]) -> list[str]:
    """Name each report's page after its recipe (`transferability-table1.html`).

    The records' folder follows where several hold runs of that recipe, and a number where that is not enough.
    """
    labels = folder_labels([choice.folder for choice in choices])
    taken = {INDEX}
    names = []
    for choice in choices:
        folders = {other.folder for other in choices if other.recipe is choice.recipe}
        parts = [*shipped.name(choice.recipe.path).removesuffix(".yaml").split("/")]
        stem = "-".join(map(safe, [*parts, *([labels[choice.folder]] if len(folders) > 1 else [])]))
        # Some file systems do not tell upper case from lower.
        free = (f"{stem}{number}.html" for number in ("", *(f"-{at}" for at in range(2, len(choices) + 3))))
        names.append(next(name for name in free if name.lower() not in taken))
        taken.add(names[-1].lower())
    return names


def folder_labels(folders: Sequence[Path]) -> dict[Path, str]:
    """Name results folders by their own names, or as they were given where two have the same."""
    names = {folder: folder.resolve().name for folder in folders}
    return {folder: name if list(names.values()).count(name) == 1 else str(folder) for folder, name in names.items()}
