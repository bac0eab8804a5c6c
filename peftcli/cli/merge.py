"""`peftcli merge`: joins folders of results, and names what it could not take. No torch."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from peftcli.cli.options import PATH, parse_path


def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="FOLDER…", parser=parse_path, help="Folders of records.")],
    output: Annotated[Path, typer.Option(help="The folder that gets them all.", **PATH)],
) -> int:
    """Join the results of several machines in one folder.

    The same run with different content is refused.
    """
    from peftcli.records.merge import merge as join

    merged = join(sources, output)
    for path, reason in merged.damaged:
        print(f"skipped {path}: {reason}", file=sys.stderr)
    print(f"{merged.written} records added to {output}, {merged.present} were there", file=sys.stderr)
    # Sound records were joined all the same; the exit code says that a file was left out.
    return 1 if merged.damaged else 0
