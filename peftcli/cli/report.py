"""`peftcli report`: a recipe's tables, claims and figures from the records in a folder, in any format. No torch."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from peftcli.cli import completion
from peftcli.cli.options import PATH, Output, RecipeName, SetOption
from peftcli.errors import unknown


def report(
    recipe: RecipeName,
    output: Output = Path("results"),
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="terminal, markdown, latex, csv, json or html.",
            autocompletion=completion.of(*completion.FORMATS),
        ),
    ] = "terminal",
    against: Annotated[
        str | None,
        typer.Option(
            metavar="paper", help="Set the published values beside ours.", autocompletion=completion.of("paper")
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.", **PATH)] = None,
    overrides: SetOption = [],  # noqa: B006
) -> None:
    """Make a recipe's tables from the records."""
    from peftcli import files
    from peftcli.cli.recipes import load
    from peftcli.report.report import report as render

    if against not in (None, "paper"):
        raise unknown("value of --against", against, ["paper"])
    # Colours are for eyes: neither a file nor a pipe gets any.
    styled = to is None and sys.stdout.isatty()
    text = render(load(recipe, overrides), output, form, against == "paper", styled)
    # On stdout the text is the only thing there is, so that it can be piped; that a file was written is told on stderr.
    if to is None:
        print(text)
    else:
        files.write(to, text if text.endswith("\n") else text + "\n")
        print(f"wrote {to}", file=sys.stderr)
