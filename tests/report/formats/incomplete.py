"""A table in which some runs are missing or ended badly, for the tests of every format."""

from pathlib import Path

from peftcli.experiment.recipe import Recipe
from tests.written_records import runs, small, unsynced, write


def incomplete(output: Path) -> Recipe:
    """One cell with 1 of 3 seeds, one with a diverged run, one with a failed one, and a task without any run."""
    made = small(
        tasks=["rte", "cola", "mrpc", "wnli"], strategies=["full"], learning_rates=[1e-3], table={"average": True}
    )
    with unsynced():
        for task, states in (("rte", "c"), ("cola", "ccd"), ("mrpc", "ccf")):
            for run, state in zip(runs(made, task=task), states, strict=False):
                names = {"c": "completed", "d": "diverged", "f": "failed"}
                metrics = dict.fromkeys(("accuracy", "matthews", "f1"), 0.5)
                write(output, run, {"validation": metrics}, names[state])
    return made
