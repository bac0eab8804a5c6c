"""Usage errors of the command-line library, worded in one line like all others."""

from typing import Any

import typer

from peftcli.errors import unknown

# The command-line library's own family of usage errors, wherever its version keeps it.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


def word(error: Any) -> str:
    """Word a usage error in one line, with the nearest and the legal commands or options."""
    context = error.ctx
    if context is not None and str(error.format_message()).startswith("No such command"):
        name = str(error.format_message()).split("'")[1]
        return str(unknown("command", name, context.command.list_commands(context)))
    if context is not None and getattr(error, "option_name", None) and "No such option" in error.format_message():
        legal = [name for parameter in context.command.params for name in parameter.opts if name.startswith("-")]
        return str(unknown("option", error.option_name, [*legal, "--help"]))
    return " ".join(str(error.format_message()).split())
