"""The shell scripts of `recipes/cluster`, run as a researcher runs them, with `peftcli` on the PATH."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent / "recipes" / "cluster"


def command(folder: Path) -> Path:
    """Write `peftcli`, as this Python has it, into a folder for the PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "peftcli"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m peftcli "$@"\n')
    program.chmod(0o755)
    return folder


def pretend(folder: Path) -> Path:
    """Write a `peftcli` that notes how it is called, and ends with what CODE_<command> says."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "peftcli"
    program.write_text('#!/bin/sh\necho "${HF_HUB_OFFLINE:-0} $*" >>calls\neval "exit \\${CODE_$1:-0}"\n')
    program.chmod(0o755)
    return folder


def run(
    script: str, recipe: Path | str, folder: Path, environment: dict[str, str], **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a script in a folder, where `bin` holds the command; its settings are environment variables."""
    return subprocess.run(
        ["bash", str(SCRIPTS / script), str(recipe)],
        env={**environment, "PATH": f"{folder / 'bin'}:{environment['PATH']}", **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
    )
