"""`peftcli import`: anybody's runs, from a table, as records that a recipe's report reads. No torch."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from peftcli.cli import completion
from peftcli.cli.options import NAME, PATH, SetOption, parse_path


def import_(
    file: Annotated[
        Path, typer.Argument(parser=parse_path, metavar="FILE", help="A CSV, TSV, JSON or parquet file, one row a run.")
    ],
    recipe: Annotated[
        str,
        typer.Option(metavar="RECIPE", help="The recipe whose cells the runs fill.", autocompletion=completion.recipes),
    ],
    output: Annotated[Path, typer.Option(help="The folder that gets the records.", **PATH)],
    source: Annotated[str | None, typer.Option(help="Whose runs they are.  [the file's name]", **NAME)] = None,
    curves: Annotated[Path | None, typer.Option(help="Evaluations of the same runs: a table or .npz.", **PATH)] = None,
    column: Annotated[
        list[str],
        typer.Option(
            metavar="WORD=COLUMN", help="A word's column, e.g. seed=run_id.", autocompletion=completion.columns
        ),
    ] = [],  # noqa: B006
    overrides: SetOption = [],  # noqa: B006
) -> None:
    """Make records of runs that others made.

    They are said to be imported wherever they are shown, and never count as trained.
    """
    from peftcli.cli.recipes import load
    from peftcli.errors import key_value
    from peftcli.experiment.recipe import root
    from peftcli.importing.importing import import_runs, kinds

    renamed = dict(key_value(pair, f"--column {pair!r} is not word=column") for pair in column)
    loaded = load(recipe, overrides)
    # Runs that an author published lie beside the recipes, and are named as those are: freezing/authors_runs.csv.
    file = root() / file if not file.exists() and (root() / file).is_file() else file
    done = import_runs(file, loaded, output, source, curves, renamed)
    print(f"{done.written} imported records added to {output}, {done.present} were there", file=sys.stderr)
    print(f"{done.filled} of {done.cells} cells of {recipe} have runs, learning rates counted apart", file=sys.stderr)
    if done.unknown:
        print(f"columns left out: {', '.join(map(repr, done.unknown))}", file=sys.stderr)
    if done.unfit:
        rows = sum(done.unfit.values())
        print(f"{rows} rows fit no cell of {recipe}: {kinds(done.unfit)}", file=sys.stderr)
