"""The commands that use a saved delta: apply, evaluate, predict. Arguments are read here; `commands` does the work."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from peftcli.cli.options import AsJson, DataDir

DeltaFile = Annotated[Path, typer.Argument(metavar="DELTA", help="A file that --save-delta wrote.")]
Base = Annotated[str | None, typer.Option(help="The base, where the delta's name for it is not a hub id.")]


def apply(
    delta: DeltaFile,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write; it must not hold anything.")],
    model: Base = None,
    form: Annotated[str, typer.Option("--format", help="transformers, or for lora peft.")] = "transformers",
) -> None:
    """Write a saved delta on its base as a transformers folder, or a lora as an adapter of the peft package."""
    from peftcli.cli import apply as command

    print(command.run(delta, model, out, form), file=sys.stderr)


def evaluate(
    delta: DeltaFile,
    task: Annotated[str | None, typer.Option(help="The delta's own task, for a check.")] = None,
    model: Base = None,
    data_dir: DataDir = None,
    allow_other_data: Annotated[bool, typer.Option(help="Accept a data set whose sizes differ.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score a saved delta on its task, exactly as its record has it; of own data, --data-dir is its file or folder."""
    from peftcli.cli import evaluate as command

    print(command.show(delta, task, model, data_dir, allow_other_data, as_json))


def predict(
    delta: DeltaFile,
    source: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="CSV, TSV, JSON lines or parquet.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="The delta's own task, for a check.")] = None,
    split: Annotated[str | None, typer.Option(help="Instead of a file: a split of the task, e.g. test.")] = None,
    model: Base = None,
    data_dir: DataDir = None,
    to: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="tsv or jsonl.  [by --to's suffix, else tsv]")] = None,
) -> None:
    """Write a saved delta's predictions on a file, or on a split as the GLUE server takes them."""
    from peftcli.cli import predict as command

    command.run(delta, source, task, split, model, data_dir, to, form)
