"""The two ends of the data's way reach no torch: their modules are imported in a process of their own, and looked for in it."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "peftcli"
HEAVY = (
    "torch",
    "transformers",
    "pandas",
    "scipy",
    "sklearn",
    "datasets",
    "matplotlib",
    "accelerate",
    "wandb",
    "mlflow",
    "trackio",
)
CODE = """
import importlib, sys
reached = set()
for name in sys.argv[1].split(","):
    importlib.import_module(name)
    now = {heavy for heavy in sys.argv[2].split(",") if heavy in sys.modules}
    if now - reached:
        print(name, *sorted(now - reached))
    reached |= now
"""


def modules(room: str) -> list[str]:
    """The names of a room's modules, in alphabetical order."""
    files = sorted((PACKAGE / room).rglob("*.py"))
    parts = [file.relative_to(PACKAGE.parent).with_suffix("").parts for file in files]
    return [".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts]


def reached(names: list[str]) -> str:
    """Import modules one after the other in a fresh process: a line for each that brings a heavy library with it."""
    command = [sys.executable, "-c", CODE, ",".join(names), ",".join(HEAVY)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent).stdout


@pytest.mark.parametrize("room", ["cli", "experiment", "records", "report"])
def test_a_room_at_either_end_reaches_no_torch(room: str) -> None:
    names = modules(room)
    assert len(names) > 3
    lines = [line for line in reached(names).splitlines() if not line.startswith(DRAWING)]
    assert lines == []


# Figures draw with matplotlib, which is imported where HTML is asked for.
DRAWING = "peftcli.report.figures"


def test_the_engine_is_seen_to_reach_torch() -> None:
    assert reached(["peftcli.errors", "peftcli.engine.device"]).splitlines() == ["peftcli.engine.device torch"]
