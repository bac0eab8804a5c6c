"""A check of training curves: how far the loss goes back where a strategy changes its mask."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from peftcli import records
from peftcli.report import masks, printed
from peftcli.report.claims.evidence import Evidence, Number
from peftcli.report.claims.spec import Check, judges
from peftcli.report.claims.steps import conclude, undecided
from peftcli.report.claims.verdicts import Finding, Step

COLUMNS = ("step", "loss")  # of a file with a printed curve
Curve = Sequence[tuple[float, ...]]  # step, loss


class GoesBack(Check):
    """After each opening of its mask, and before the next, the task's training loss of `strategy` goes back up.

    To at least `by_factor` times what it was just before, to at least the share `of_first` of its first value, or both.
    """

    kind: Literal["goes back"] = Field(description="The training loss goes back up at each change of mask.")
    strategy: str = Field(description="The strategy whose mask changes.")
    by_factor: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = Field(
        None, description="What the loss must come to, in multiples of the loss just before the change."
    )
    of_first: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="What the loss must come to, as a fraction of its first value."
    )
    published: str | None = Field(
        None, description="The CSV file with the paper's curve, beside the recipe: step, loss."
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> "GoesBack":
        if self.by_factor is None and self.of_first is None:
            raise ValueError("by_factor or of_first must say how far the loss goes back")
        return self

    def files_of_points(self) -> dict[str, tuple[str, ...]]:
        """The file with the paper's curve."""
        return {self.published: COLUMNS} if self.published else {}


@judges(GoesBack)
def goes_back(check: GoesBack, evidence: Evidence) -> Finding:
    """Judge whether the loss goes back at each change of mask, on every run's curve, or on the printed one."""
    steps: list[Step] = []
    for key in evidence.columns(check.on):
        for number in evidence.rows([check.strategy], key):
            steps += (
                _of_runs(check, evidence, number) if number.values is not None else _printed(check, evidence, number)
            )
    wanted = [f"{check.by_factor:g} times what it was just before"] if check.by_factor else []
    wanted += [f"{check.of_first:g} of its first value"] if check.of_first else []
    rule = f"the training loss goes back to at least {' and '.join(wanted)} at each change of mask"
    return conclude(steps, rule, "the highest loss until the next change")


def _printed(check: GoesBack, evidence: Evidence, number: Number) -> list[Step]:
    if check.published is None or evidence.beside is None:
        return [undecided(number.column_label, "cannot be judged")]
    curve = printed.read(evidence.beside / check.published, COLUMNS)
    return list(_changes(check, number, curve, f"{number.column_label}: {number.label}"))


def _of_runs(check: GoesBack, evidence: Evidence, number: Number) -> list[Step]:
    """Judge the curve of each run that ended; a loss with the penalty in it says nothing of the task's."""
    steps = []
    output = evidence.output
    bodies = {seed: records.read(output / file).body for seed, file in number.files.items()} if output else {}
    for seed, body in bodies.items():
        entries = body["training"]
        name = f"{number.column_label}: {number.label}, seed {seed}"
        if number.options.get("penalty") and not all("penalty" in entry for entry in entries):
            steps.append(undecided(f"{name}: its loss has the penalty in it", "cannot be judged"))
            continue
        losses = [(float(entry["step"]), loss) for entry in entries if (loss := entry.get("loss")) is not None]
        steps += _changes(check, number, losses, name)
    # Runs that are still to come could have other curves; what a run scored is no matter here.
    if steps and number.trouble != "not enough runs":
        return steps
    return [*steps, undecided(number.column_label, number.trouble)]


def _changes(check: GoesBack, number: Number, curve: Curve, name: str) -> Iterable[Step]:
    """Judge each opening that the curve has points before and after of."""
    last = int(max((step for step, _ in curve), default=0))
    opened, _ = masks.changes(number.options, last) or ((), ())
    for start, end in itertools.pairwise([*opened, math.inf]):
        before = [loss for step, loss in curve if step <= start]
        after = [loss for step, loss in curve if start < step <= end]
        if not before or not after:
            continue
        highest = max(after)
        holds = (check.by_factor is None or highest >= check.by_factor * before[-1]) and (
            check.of_first is None or highest >= check.of_first * curve[0][1]
        )
        words = f"{name}: after {start:g} updates from {before[-1]:.3g} to {highest:.3g}, at first {curve[0][1]:.3g}"
        yield Step(words, holds)
