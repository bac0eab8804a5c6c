"""`peftcli report` prints the report alone, or writes it to a file and says so."""

from pathlib import Path

from peftcli.experiment import plan, recipe
from tests import folders, written_records
from tests.commandline import Command


def test_what_is_printed_is_what_is_written(peftcli: Command, tiny_folder: Path, tmp_path: Path) -> None:
    file = folders.recipe(tmp_path / "r.yaml", tiny_folder)
    for planned in plan.expand(recipe.load(file)):
        accuracy = 0.75 if planned.run.strategy == "full" else 0.5
        written_records.write(tmp_path / "out", planned.run, {"validation": {"accuracy": accuracy}})
    options = ("report", file, "--output", tmp_path / "out", "--format")
    shown = peftcli(*options, "markdown")
    assert (shown.code, shown.err) == (0, "")
    row = next(line for line in shown.out.splitlines() if line.startswith("| full"))  # the table, then the costs
    assert "75.0±0.0" in row
    written = peftcli(*options, "markdown", "--to", tmp_path / "table.md")
    assert (written.code, written.out, written.err) == (0, "", f"wrote {tmp_path / 'table.md'}\n")
    assert (tmp_path / "table.md").read_text() + "\n" == shown.out  # `print` ends it once more
    assert "\x1b[" not in peftcli(*options, "terminal").out  # no colours where nobody looks


def test_a_setting_chooses_which_runs_are_reported(peftcli: Command, tiny_folder: Path, tmp_path: Path) -> None:
    file = folders.recipe(tmp_path / "r.yaml", tiny_folder)
    shown = peftcli("report", file, "--output", tmp_path, "--format", "csv", "--set", "strategies=[bitfit]")
    assert shown.code == 0
    assert "bitfit" in shown.out
    assert "layernorm" not in shown.out
