"""`peftcli site`: static pages over any number of recipes, an index and the HTML report of each. No torch."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from peftcli.cli import completion
from peftcli.cli.options import parse_path


def site(
    results: Annotated[list[Path], typer.Argument(metavar="RESULTS…", parser=parse_path, help="Folders of records.")],
    to: Annotated[Path, typer.Option(metavar="DIR", parser=parse_path, help="The folder that gets the pages.")],
    recipe: Annotated[
        list[str],
        typer.Option(
            metavar="RECIPE",
            help="A recipe of your own whose runs are there; may be repeated.",
            autocompletion=completion.recipes,
        ),
    ] = [],  # noqa: B006
) -> int:
    """Write pages of all recorded recipes: an index and each report.

    Recipes that come with peftcli are found by their runs.
    """
    from peftcli import files
    from peftcli.cli.recipes import load
    from peftcli.report.site import choosing, pages

    chosen = choosing.choose(results, [load(name, []) for name in recipe])
    files.ready(to)
    for file, reason in chosen.damaged:
        print(f"skipped {file}: {reason}", file=sys.stderr)
    for remark in chosen.remarks:
        print(remark, file=sys.stderr)
    # Made before the first is written: what stops one of them leaves the pages of an earlier time as they were.
    contents = list(pages.make(chosen))
    for name, text in contents:
        files.write(to / name, text)
    print(f"wrote {to / pages.INDEX} over {len(chosen.choices)} reports", file=sys.stderr)
    # The pages are whole without what is damaged; the exit code says that a file was left out.
    return 1 if chosen.damaged else 0
