"""What lies beside a record, under the record's own name: its run's predictions, and the weights that it moved."""

from pathlib import Path

# Instead of a record's `.json`; merging copies whatever begins with the record's name.
DELTA = ".delta.safetensors"
PREDICTIONS = ".predictions.safetensors"


def delta(record: Path) -> Path:
    """Where the delta of a record's run lies, if it was saved."""
    return record.with_suffix(DELTA)


def predictions(record: Path) -> Path:
    """Where the predictions of a record's run lie, if they were kept."""
    return record.with_suffix(PREDICTIONS)
