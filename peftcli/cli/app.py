"""The command line: the app with its commands, and errors as one line. Data goes to stdout, everything else to stderr."""

import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from peftcli.cli import (
    deltas,
    doctor,
    importing,
    listing,
    merge,
    params,
    plan,
    prefetch,
    records,
    report,
    schema,
    shells,
    site,
    sweep,
    train,
)
from peftcli.errors import UserError, unknown
from peftcli.stopping import STOPPED

# The command-line library's own family of usage errors, wherever its version keeps it.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="peftcli",
    help="Find out which few weights of a pre-trained transformer are worth training, and trust the answer.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run() -> NoReturn:
    """Run the command line and exit; errors a user can mend become one line on stderr and exit code 2."""
    if shells.asking():
        shells.answer(app)
    try:
        # Without the library's standalone mode errors are raised, and a command's exit code is what it returns.
        code = app(prog_name="peftcli", standalone_mode=False)
    except UserError as error:
        _fail(str(error))
    except typer.Abort:  # what the library makes of Ctrl-C
        sys.exit(STOPPED)
    except UsageError as error:
        _fail(_usage_message(error))
    sys.exit(code or 0)


def _fail(message: str) -> NoReturn:
    print(f"peftcli: {message}", file=sys.stderr)
    sys.exit(2)


def _usage_message(error: Any) -> str:
    """Word a usage error in one line, with the nearest and the legal commands or options."""
    context, message = error.ctx, str(error.format_message())
    if context is not None and message.startswith("No such command"):
        return str(unknown("command", message.split("'")[1], context.command.list_commands(context)))
    if context is not None and getattr(error, "option_name", None) and "No such option" in message:
        legal = [name for parameter in context.command.params for name in parameter.opts if name.startswith("-")]
        return str(unknown("option", error.option_name, [*legal, "--help"]))
    return " ".join(message.split())


def _version(context: typer.Context, asked: bool) -> None:
    if asked and not context.resilient_parsing:  # a shell asks what comes next
        from importlib.metadata import version

        print(f"peftcli {version('peftcli')}")
        raise typer.Exit  # before the library misses a command


@app.callback()
def _main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


# In the order of --help. Every command imports what it works with when it is called: starting the program stays quick.
COMMANDS: tuple[Callable[..., int | None], ...] = (
    train.train,
    sweep.sweep,
    plan.plan,
    merge.merge,
    report.report,
    site.site,
    params.params,
    prefetch.prefetch,
    doctor.doctor,
    deltas.apply,
    deltas.evaluate,
    deltas.predict,
    records.records,
    schema.schema,
)
for command in COMMANDS:
    app.command()(command)
app.command("import")(importing.import_)
app.command("list")(listing.list_)
