"""Claims judged for tests: of records made for a test, and of the papers' own recipes without any record."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from peftcli.experiment import plan
from peftcli.experiment.recipe import Recipe
from peftcli.report import summary
from peftcli.report.claims import gathering, judging, spec
from peftcli.report.claims.spec import Claim
from peftcli.report.claims.verdicts import Judged
from peftcli.report.table import build, selection
from peftcli.report.table.selection import Outcome
from peftcli.report.table.table import Table
from tests.written_records import load

NOWHERE = Path("nowhere")
BETTER = {"kind": "better", "strategies": "layernorm", "than": "full"}
# How many claims a recipe makes.
COUNTS = {
    **{"transferability/table1": 7, "transferability/table2": 1, "transferability/table3": 3},
    **{"transferability/table4": 3, "freezing/table1": 9, "freezing/table2": 1, "freezing/table3": 1},
    **{"effectiveness/table1": 5, "effectiveness/table2": 2, "spafit/table2": 7},
}


def judge(tmp_path: Path, recipe: Recipe, *checks: dict[str, Any]) -> Judged:
    """Judge one claim of these checks on the records in a folder."""
    claims = [{"claim": "-", "where": "-", "checks": list(checks)}]
    return summary.summarise(recipe.model_copy(update={"claims": claims}), tmp_path, False).claims[0]


def claim_of(check: dict[str, Any]) -> Claim:
    return spec.parse({"claim": "-", "where": "-", "checks": [check]}, "-")


@cache
def not_run(name: str) -> tuple[Recipe, tuple[Outcome, ...]]:
    """A shipped recipe and the outcomes of its runs, every one missing."""
    shipped = load(name)
    return shipped, tuple(selection.outcomes(plan.expand(shipped), NOWHERE))


@cache
def empty(name: str) -> Table:
    """The table of a shipped recipe without any record: only the printed numbers stand in it."""
    return build.tabulate(*not_run(name))


def judged(name: str, table: Callable[[str], Table]) -> list[Judged]:
    """Judge every claim of a shipped recipe, on tables by their recipe's name."""
    shipped, paper = not_run(name)[0], name.partition("/")[0]
    beside = [[table(f"{paper}/{Path(other).stem}") for other in claim.tables] for claim in spec.read(shipped)]
    return [
        judging.judge(shipped, claim, gathering.gather_all([table(name), *others]))
        for claim, others in zip(spec.read(shipped), beside, strict=True)
    ]


@cache
def judged_as_printed(name: str) -> list[Judged]:
    """Judge every claim of a shipped recipe without any record."""
    return judged(name, empty)
