"""Deltas with the records beside them, as training leaves them, and what their cards are made of."""

import re
from pathlib import Path
from typing import Any

from peftcli.deltas import file, recorded
from peftcli.deltas.exported import UNKNOWN_LICENSE, Exported
from peftcli.records import Record, beside
from tests import trained

LORA = {"lora": {"rank": 3, "alpha": 7.0}}
ODD = "a|b <i>`x`_ *y*"  # a label that Markdown would take for several things


def exported(
    record: Record, model: str, form: str = "transformers", folder: str = "merged", **changes: Any
) -> Exported:
    """What is known of a record's delta and the records beside it."""
    path = beside.delta(record.path)
    delta = file.read(path)
    known = {"recorded": recorded.beside(path, delta), "license": UNKNOWN_LICENSE, **changes}
    return Exported(delta, model, form, folder, **known)


def own_task(folder: Path, labels: tuple[str, str] = ("bad", ODD)) -> dict[str, Any]:
    """Write data of one's own with two labels, and return the task on it as a recipe has it."""
    (folder / "mine").mkdir(parents=True)
    for split, count in (("train", 48), ("validation", 24)):
        rows = [f"{row['sentence1']}\t{labels[row['label']]}" for row in trained.rows(split, count)]
        (folder / "mine" / f"{split}.tsv").write_text("\n".join(["text\ty", *rows]) + "\n")
    return {"name": "mine", "data": "mine", "text": "text", "label": "y", "metric": ["f1_macro", "accuracy"]}


def code(card: str) -> list[str]:
    """The lines of the card's one block of Python."""
    (block,) = re.findall(r"^```python\n(.*?)^```$", card, re.MULTILINE | re.DOTALL)
    return block.splitlines()


def table(card: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, head and rule left out, as they are written."""
    below = card.split(f"## {heading}\n")[1]
    lines = [line for line in below.split("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]
