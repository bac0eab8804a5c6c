"""Do two strategies err on the same examples? McNemar's test by seed, from predictions beside records. No torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.records import predictions
from peftcli.report.statistics import significance
from peftcli.report.statistics.significance import Test
from peftcli.report.table.table import Cell

if TYPE_CHECKING:
    from numpy import ndarray


@dataclass(frozen=True)
class Answers:
    """A run's answers on a split: example ids [examples], and whether each is right [examples, or words of them]."""

    numbers: "ndarray"
    right: "ndarray"


def answers(record: Path, split: str) -> Answers | None:
    """Read which answers of a run are right; None where no predictions were kept, or the task is a regression.

    Raises UserError for a file of predictions that does not read back.
    """
    kept = predictions.read(record, split)
    # A regression has one number an example [examples], and answers that are neither right nor wrong.
    if kept is None or kept.logits.ndim != 2 or len(kept.logits) != len(kept.labels):
        return None
    return Answers(kept.numbers, kept.logits.argmax(-1) == kept.labels)


def compare(cell: Cell, reference: Cell, output: Path) -> dict[int, Test]:
    """Test by seed whether two cells' runs err on as many examples that the other gets right (McNemar, exact).

    Seeds without predictions of both, or evaluated on different examples, are left out.
    """
    tests = {}
    for seed in sorted(cell.files.keys() & reference.files.keys()):
        ours = answers(output / cell.files[seed], cell.split)
        theirs = answers(output / reference.files[seed], reference.split)
        if ours is None or theirs is None:
            continue
        # Pairs are by example: the same ids in the same order, and as many words of each.
        same_examples = ours.numbers.shape == theirs.numbers.shape and bool((ours.numbers == theirs.numbers).all())
        if same_examples and len(ours.right) == len(theirs.right):
            tests[seed] = significance.mcnemar(ours.right.tolist(), theirs.right.tolist())
    return tests
