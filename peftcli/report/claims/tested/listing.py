"""What a check compares, before anything is tested: tests answer these comparisons, and plans of seeds are for them.

Two kinds of comparisons: two sides by Student's t, and the rows of a column all at once by Games and Howell. Families of
them are corrected together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from peftcli.report.claims.evidence import Number
from peftcli.report.statistics.contrast import ALPHA

Rows = tuple[Number, ...]
# Of the one side's best beside the other's; "near" is within the boundary on both sides, "different" beside zero.
Relation = Literal["above", "below", "near", "not near", "different"]


@dataclass(frozen=True)
class Compared:
    """The best of some rows beside the best of others: how they are said to differ, and from which boundary on.

    `column` is the words for where they stand. `margin` is the check's, 0 where it names none.
    """

    column: str
    ones: Rows
    others: Rows
    relation: Relation = "above"
    boundary: float = 0.0
    margin: float = 0.0

    @property
    def within(self) -> bool:
        """Whether the boundary lies on both sides, so that both must be shown."""
        return self.relation in ("near", "not near")

    @property
    def alpha(self) -> float:
        """The level at which two candidates are tested: any of the side that is said to be above may be shown (Holm)."""
        above = {"above": [self.ones], "below": [self.others]}.get(self.relation, [self.ones, self.others])
        # Within a margin is tested from both sides, each at alpha.
        return ALPHA * (2 if self.within else 1) / max(map(candidates, above))


@dataclass(frozen=True)
class Ranked:
    """The rows of a column beside each other, and those of them (`inside`, by index) that are said to be in front.

    The best row is one of them, from the worst one where `worst` says so; or, where `places` says how many, the one row
    inside is among so many best. A row has several numbers where a name's best counts.
    """

    column: str
    rows: tuple[Rows, ...]
    inside: tuple[int, ...]
    places: int | None = None
    worst: bool = False
    margin: ClassVar[float] = 0.0
    within: ClassVar[bool] = False

    @property
    def ones(self) -> Rows:
        """The numbers that are said to be in front."""
        return tuple(number for at in self.inside for number in self.rows[at])

    @property
    def others(self) -> Rows:
        """All others."""
        return tuple(number for at in self.outside for number in self.rows[at])

    @property
    def outside(self) -> tuple[int, ...]:
        """The rows of all others."""
        return tuple(at for at in range(len(self.rows)) if at not in self.inside)

    @property
    def alpha(self) -> float:
        """The level at which two candidates are tested: of all pairs an equal part, a little less than Games–Howell's."""
        groups = sum(map(candidates, self.rows))
        return ALPHA / max(1, groups * (groups - 1) // 2)


@dataclass(frozen=True)
class Family:
    """Comparisons of which at least `needed` must come out as claimed; `exactly` so many, and no more, where it is set.

    Then all are needed: those that come out so, and those that do not.
    """

    needed: int
    compared: tuple[Compared | Ranked, ...]
    exactly: int | None = None


@dataclass(frozen=True)
class Listing:
    """All families of a check, which must all come out as claimed, and their correction in words.

    `why_not` says why a check that compares has no test.
    """

    families: tuple[Family, ...]
    correction: str = ""
    why_not: str = ""


def all_of(compared: Iterable[Compared | Ranked], correction: str) -> Listing:
    """Return the listing of a check whose every comparison must come out as claimed."""
    every = tuple(compared)
    return Listing((Family(len(every), every),) if every else (), correction)


def candidates(rows: Rows) -> int:
    """Count the samples that some rows may stand for: the learning rates that may be the best, or one to come."""
    return max(1, sum(max(1, len(number.candidates)) for number in rows))
