"""What a claim comes to when it is tested: an answer, the comparisons behind it, and how many seeds would decide it."""

from dataclasses import dataclass

from peftcli.report.statistics.combining import Answer, Statement
from peftcli.report.table.resampling import OverExamples, Pair

Interval = tuple[float, float]


@dataclass(frozen=True)
class Plan:
    """What seeds are planned for: to find a stated difference from the boundary, by a two-sided test at `alpha`.

    `deviation` is that of paired differences, or those of two samples. `least` is what must be there in any case, and
    `sides` on how many sides the difference must be shown.
    """

    difference: float
    deviation: float | tuple[float, float]
    alpha: float
    least: int
    sides: int = 1


@dataclass(frozen=True)
class Comparison:
    """One comparison, in the table's unit: how far `one` is above `other`, and whether that is beyond the boundary.

    `interval` is the 95 % confidence interval; `near` the 90 % one, of a comparison within a margin alone. Several
    learning rates on a side widen both (Holm). `p_value` is two-sided, of the whole comparison. What has no test has
    none of these, and `why_not` says why; it also says why one leans at most. `notes` are what else to know, and
    `caution` what nothing corrects for. `decimals` are the table's and one more.
    `leading` are the two numbers in the lead, where both are of runs of ours on one test set and tested by Student's t;
    `over_examples` is their difference over seeds and examples together, None where it was not asked for. The answer is
    about seeds alone.
    """

    column: str
    one: str
    other: str
    estimate: float | None
    boundary: float
    interval: Interval | None
    near: Interval | None
    test: str
    n: str
    p_value: float | None
    answer: Answer
    why_not: str = ""
    notes: tuple[str, ...] = ()
    plan: Plan | None = None
    decimals: int = 2
    caution: str = ""
    leading: Pair | None = None
    over_examples: OverExamples | None = None


@dataclass(frozen=True)
class Part:
    """Comparisons of which at least `needed` must come out as claimed, with what that statement comes to."""

    needed: int
    comparisons: tuple[Comparison, ...]
    statement: Statement


@dataclass(frozen=True)
class Seeds:
    """How many seeds would decide what is undecided, at 80 % power: None beyond 1,000.

    They find a `difference` from the boundary (stated, never the observed one), in `comparisons` at once, of which
    `hardest` takes the most.
    """

    number: int | None
    difference: float
    comparisons: int
    hardest: str


@dataclass(frozen=True)
class CheckAnswer:
    """One check: its kind, its answer, the parts that must all come out so, its correction in words."""

    kind: str
    answer: Answer
    statement: Statement
    parts: tuple[Part, ...]
    correction: str = ""

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All comparisons, part by part."""
        return tuple(comparison for part in self.parts for comparison in part.comparisons)


@dataclass(frozen=True)
class ClaimAnswer:
    """A claim's tested answer, with its checks.

    `p_value` is two-sided and of all checks together; None where nothing was tested. `holm` is it adjusted for the
    recipe's claims. `why_not` says what the answer lacks, `caution` what nothing corrects for.
    `seeds`: None where it is decided, or cannot be by seeds.
    """

    answer: Answer
    why_not: str
    p_value: float | None
    checks: tuple[CheckAnswer, ...]
    seeds: Seeds | None = None
    holm: float | None = None
    caution: str = ""
