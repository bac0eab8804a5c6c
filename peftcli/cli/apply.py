"""What `peftcli apply` does: a delta on its base becomes a folder that other programs load."""

from pathlib import Path

from peftcli.errors import unknown

FORMATS = ("transformers", "peft")


def run(file: Path, model: str | None, folder: Path, form: str) -> str:
    """Write the folder and say what is in it. Raises UserError."""
    if form not in FORMATS:
        raise unknown("value of --format", form, FORMATS)
    from peftcli.deltas import export
    from peftcli.deltas import file as deltas

    delta = deltas.read(file)
    export.write(delta, model or delta.model, folder, form)
    return f"wrote {folder}: {delta.run.describe()}"
