"""The command line as a user types it: in the test's own process, or in a new one."""

import ast
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import typer

from peftcli.cli import app

COMMAND = typer.main.get_command(
    app.app
)  # made once: reading every command's signature takes longer than most commands


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code, and what it wrote on stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def is_one_line(self) -> bool:
        """Whether it refused bad input as every command does: exit code 2, nothing printed, one line on stderr."""
        line = self.err.startswith("peftcli: ") and self.err.count("\n") == 1 and self.err.endswith("\n")
        return self.code == 2 and not self.out and line


Command = Callable[..., Ended]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs the command line with arguments. An exception that is no exit is the test's failure."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["peftcli", *map(str, arguments)])
        monkeypatch.setattr(app, "app", COMMAND)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app.run()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


HEAVY = ("torch", "transformers", "pandas", "scipy")
PROGRAM = f"""
import json, sys
from peftcli.cli import app

codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["peftcli", *arguments]
    try:
        app.run()
    except SystemExit as ended:
        codes.append(ended.code)
print([*codes, *(module for module in {HEAVY} if module in sys.modules)], file=sys.stderr)
"""


@dataclass(frozen=True)
class Fresh(Ended):
    """What a new process left: `code` is 0 where every command's was, `heavy` the large libraries it imported."""

    heavy: tuple[str, ...]
    seconds: float  # of processor time


def fresh(*commands: Sequence[object]) -> Fresh:
    """Run commands one after another in a process that has imported nothing yet."""
    arguments = json.dumps([[*map(str, command)] for command in commands])
    done, seconds = _timed([sys.executable, "-c", PROGRAM, arguments])
    err, _, last = done.stderr.strip().rpartition("\n")
    seen = ast.literal_eval(last)
    codes, heavy = seen[: len(commands)], tuple(seen[len(commands) :])
    return Fresh(max(codes), done.stdout, err, heavy, seconds)


def yardstick() -> float:
    """Return the seconds of processor time that a new interpreter takes here to import pydantic, typer and yaml."""
    return _timed([sys.executable, "-c", "import pydantic.main, typer.main, yaml"])[1]


def _timed(command: list[str]) -> tuple[subprocess.CompletedProcess[str], float]:
    # With its bytecode kept, as an installed program has it after its first start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
