"""The command line: reads arguments, calls what does the work, prints. Data goes to stdout, everything else to stderr."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from peftcli.cli import deltas as delta_commands
from peftcli.cli import options, usage
from peftcli.cli.options import AsJson, DataDir, Only, Output, RecipeName, SetOption
from peftcli.errors import UserError, unknown
from peftcli.stopping import STOPPED

app = typer.Typer(
    name="peftcli",
    help="Find out which few weights of a pre-trained transformer are worth training, and trust the answer.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run() -> NoReturn:
    """Run the command line and exit; errors a user can mend become one line on stderr and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        _fail(str(error))
    except typer.Abort:
        sys.exit(STOPPED)
    except usage.UsageError as error:
        _fail(usage.word(error))
    sys.exit(code or 0)


def _fail(message: str) -> NoReturn:
    print(f"peftcli: {message}", file=sys.stderr)
    sys.exit(2)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"peftcli {version('peftcli')}")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def train(
    strategy: Annotated[str, typer.Option(help="A strategy, with options as name:option=value,…")],
    task: Annotated[str, typer.Option(help="A task, e.g. rte.")],
    model: Annotated[str, typer.Option(help="A hub id, a local folder, or minilm.")] = "bert-base-uncased",
    lr: Annotated[str | None, typer.Option(help="Learning rate.  [5e-5 where whole layers move, else 1e-3]")] = None,
    seed: Annotated[list[str], typer.Option(help="Seed; give it several times for several runs.")] = ["0"],  # noqa: B006
    epochs: Annotated[str | None, typer.Option(help="Passes over the training set.  [3]")] = None,
    batch_size: Annotated[str | None, typer.Option(help="Examples a step.  [16]")] = None,
    max_length: Annotated[str | None, typer.Option(help="Word pieces a sequence.  [128]")] = None,
    max_train_samples: Annotated[str | None, typer.Option(help="The first so many training examples.")] = None,
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
    output: Output = Path("results"),
    save_delta: Annotated[bool, typer.Option(help="Keep what moved, beside the record.")] = False,
    again: Annotated[bool, typer.Option(help="Train even if the run is recorded; the record is replaced.")] = False,
    allow_other_data: Annotated[bool, typer.Option(help="Accept a data set whose sizes differ; recorded.")] = False,
    predictions: Annotated[bool, typer.Option(help="Keep the evaluated logits beside the record.")] = True,
    track: options.Track = None,
) -> int:
    """Train one run (or one per seed), print its metrics and write its record."""
    from peftcli.cli import train as command

    settings = {
        "epochs": epochs,
        "batch_size": batch_size,
        "max_length": max_length,
        "max_train_samples": max_train_samples,
    }
    given = {key: value for key, value in settings.items() if value is not None}
    planned = command.plan_runs(strategy, task, model, lr, seed, given, overrides)
    return command.run(
        planned, model, output, data_dir, again=again, allow_other_data=allow_other_data, save_delta=save_delta,
        keep_predictions=predictions, track=track,
    )  # fmt: skip


@app.command()
def sweep(
    recipe: RecipeName,
    output: Output = Path("results"),
    data_dir: DataDir = None,
    cohort: Annotated[int | None, typer.Option(min=1, help="Runs trained together; 1 turns it off.")] = None,
    overrides: SetOption = [],  # noqa: B006
    only: Only = [],  # noqa: B006
    retry: Annotated[str | None, typer.Option(metavar="failed", help="Try failed runs again.")] = None,
    allow_other_data: Annotated[bool, typer.Option(help="Accept a data set whose sizes differ; recorded.")] = False,
    predictions: Annotated[bool, typer.Option(help="Keep the evaluated logits beside the records.")] = True,
    save_delta: Annotated[bool, typer.Option(help="Keep what moved, beside the records.")] = False,
    track: options.Track = None,
    launcher: options.Launcher = "local",
    processes: options.Processes = None,
    processes_per_run: options.ProcessesPerRun = None,
    partition: options.Partition = None,
    walltime: options.Walltime = None,
    gpus: options.Gpus = None,
    max_jobs: options.MaxJobs = None,
    account: options.Account = None,
    slurm: options.Slurm = [],  # noqa: B006
    detach: options.Detach = False,
) -> int:
    """Run what is missing of a recipe. Stop it at any moment and start it again to go on."""
    from peftcli.cli import sweep as command
    from peftcli.launchers.launch import choose

    if retry not in (None, "failed"):
        raise unknown("value of --retry", retry, ["failed"])
    launch = choose(launcher, {
        "--processes": processes, "--processes-per-run": processes_per_run, "--partition": partition, "--time": walltime,
        "--gpus": gpus, "--max-jobs": max_jobs, "--account": account, "--slurm": slurm, "--detach": detach,
    })  # fmt: skip
    return command.run(
        recipe, output, data_dir, cohort, overrides, only, retry_failed=retry == "failed",
        allow_other_data=allow_other_data, keep_predictions=predictions, save_delta=save_delta, track=track, launch=launch,
    )  # fmt: skip


@app.command()
def plan(
    recipe: RecipeName,
    output: Output = Path("results"),
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
    cohort: Annotated[int | None, typer.Option(min=1, help="Runs trained together.")] = None,
    as_json: AsJson = False,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Time a few steps and tell hours.")] = False,
    walltime: options.Walltime = None,
) -> None:
    """Show what a recipe would run: states, cohorts, trainable parameters, where every setting comes from."""
    from peftcli.cli import calibrate as timing
    from peftcli.cli import plan as command

    if calibrate:
        print(timing.show(recipe, output, data_dir, overrides, cohort, walltime, as_json))
        return
    if walltime is not None:
        raise UserError("--time is for --calibrate here: it says how many cohorts fit")
    print(command.show(recipe, output, overrides, cohort, as_json))


@app.command()
def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders of records.")],
    output: Annotated[Path, typer.Option(help="The folder that gets them all.")],
) -> int:
    """Join the results of several machines; the same run with different content is refused."""
    from peftcli.cli import merge as command

    return command.run(sources, output)


@app.command()
def report(
    recipe: RecipeName,
    output: Output = Path("results"),
    form: Annotated[str, typer.Option("--format", help="terminal, markdown, latex, csv, json or html.")] = "terminal",
    against: Annotated[str | None, typer.Option(metavar="paper", help="Set the published values beside ours.")] = None,
    to: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.")] = None,
    overrides: SetOption = [],  # noqa: B006
) -> None:
    """Make a recipe's tables from the records."""
    from peftcli import files
    from peftcli.experiment.recipe import find, load, parse_set
    from peftcli.report.report import report as make

    if against not in (None, "paper"):
        raise unknown("value of --against", against, ["paper"])
    styled = to is None and sys.stdout.isatty()
    text = make(load(find(recipe), parse_set(overrides)), output, form, against == "paper", styled)
    if to is None:
        print(text)
    else:
        files.write(to, text if text.endswith("\n") else text + "\n")
        print(f"wrote {to}", file=sys.stderr)


@app.command()
def params(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="A recipe's file or name.")] = None,
    model: Annotated[str | None, typer.Option(help="Instead of a recipe: a model …")] = None,
    strategy: Annotated[str | None, typer.Option(help="… and a strategy.")] = None,
    labels: Annotated[int | None, typer.Option(min=1, help="Outputs of the head.  [2]")] = None,
    overrides: SetOption = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Count parameters exactly, from the architecture's numbers alone."""
    from peftcli.cli import params as command

    print(command.show(recipe, model, strategy, labels, overrides, as_json))


@app.command()
def prefetch(
    recipe: RecipeName,
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
) -> int:
    """Download a recipe's model and data, and check with the network off what an offline node will find."""
    from peftcli.cli import prefetch as command

    return command.run(recipe, data_dir, overrides)


@app.command()
def doctor(
    recipe: Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="A recipe's file or name.")] = None,
    output: Output = Path("results"),
    data_dir: DataDir = None,
    overrides: SetOption = [],  # noqa: B006
    cohort: Annotated[int | None, typer.Option(min=1, help="Runs trained together.")] = None,
    as_json: AsJson = False,
) -> int:
    """Say what this machine is, what of a recipe it would miss without a network, and what the sweep needs."""
    from peftcli.cli import doctor as command

    text, code = command.show(recipe, output, data_dir, overrides, cohort, as_json)
    print(text)
    return code


for command in (delta_commands.apply, delta_commands.evaluate, delta_commands.predict):
    app.command()(command)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="strategies|tasks|models|recipes")],
    as_json: AsJson = False,
) -> None:
    """List what exists, a line each."""
    from peftcli.cli.listing import KINDS, rows

    if what not in KINDS:
        raise unknown("list", what, KINDS)
    found: list[dict[str, Any]] = rows(what)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    width = max(len(row["name"]) for row in found)
    for row in found:
        print(f"{row['name']:<{width}}  {row['summary']}")
