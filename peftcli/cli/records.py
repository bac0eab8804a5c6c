"""`peftcli records`: the records of a folder as one table for pandas, polars, duckdb and others. No torch."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from peftcli.cli.options import PATH, parse_path


def records(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", parser=parse_path, help="A folder of records.")],
    to: Annotated[Path, typer.Option(help="The file to write: .parquet or .csv.", **PATH)],
    curves: Annotated[bool, typer.Option("--curves", help="A row an evaluation instead of a row a run.")] = False,
) -> int:
    """Write a folder's records as one table for other programs.

    A row a run, whether it completed or not; docs/records.md has the columns. `import` reads the table again.
    """
    from peftcli import files
    from peftcli.report import record_rows
    from peftcli.report.formats import columnar

    encode = columnar.writer(to)  # an ending that is none is told before thousands of records are read
    table = record_rows.read(results, curves)
    files.write(to, encode(table.columns))
    for path, reason in table.damaged:
        print(f"left out {path}: {reason}", file=sys.stderr)
    ended = ", ".join(f"{count} {status}" for status, count in sorted(table.runs.items()))
    print(f"wrote {to}: {table.rows} rows of {sum(table.runs.values())} runs ({ended})", file=sys.stderr)
    # The sound records are written all the same; the exit code says that a file was left out.
    return 1 if table.damaged else 0
