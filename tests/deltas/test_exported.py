"""The lines that load what was written: the base by its hub id where it has one, and the commit it is pinned to."""

import ast
from pathlib import Path

import pytest

from peftcli.deltas import exported
from peftcli.deltas.exported import Exported
from peftcli.deltas.file import Delta, Members
from peftcli.deltas.recorded import NOTHING
from tests.written_records import runs, small

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RUN = runs(small(tasks=["cola"]))[0]


def about(model: str, form: str, folder: str = "out") -> Exported:
    delta = Delta(RUN, model, "f", "d", ("no", "yes", "both"), Members((0,), 0, {}), {})
    return Exported(delta, model, form, folder, NOTHING, "unknown")


def test_where_a_base_is_on_the_hub(tmp_path: Path) -> None:
    assert exported.on_hub("minilm") == ("sentence-transformers/all-MiniLM-L6-v2", None)
    assert exported.on_hub("bert-base-uncased") == ("bert-base-uncased", None)
    assert exported.on_hub(f"org/name@{COMMIT}") == ("org/name", COMMIT)
    assert exported.on_hub(str(tmp_path)) == (None, None)


@pytest.mark.parametrize("form", ["transformers", "peft"])
@pytest.mark.parametrize("folder", ["out", 'a "b" \\ c', "a\nb", "ü"])
def test_three_lines_are_python_whatever_names_hold(form: str, folder: str) -> None:
    lines = exported.loading(about(f"org/name@{COMMIT}", form, folder))
    assert len(lines) == 3
    strings = [node.value for node in ast.walk(ast.parse("\n".join(lines))) if isinstance(node, ast.Constant)]
    assert f"./{folder}" in strings
    assert ("org/name" in strings and COMMIT in strings and 3 in strings) == (form == "peft")
