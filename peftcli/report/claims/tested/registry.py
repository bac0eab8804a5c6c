"""Which function lists what a check of a kind compares, and testing a check by that list.

A kind without one has no valid test, and its tested answer says so. Overlap and nearness to the majority class are about
deviations of a few seeds, for which no test keeps its error rate when values are not normal; to be so many deviations above
it is another statement than a mean above a constant. Rank correlations and trends are over cells that are not
independent, or over the orders of very few. That no run learned, or how far a loss goes back, is counted run by run.
"""

from collections.abc import Callable, Sequence
from typing import Any, get_args

from peftcli.report.claims.answers import CheckAnswer, Part
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.spec import Check
from peftcli.report.claims.tested import ranking, sides
from peftcli.report.claims.tested.listing import Family, Listing, Ranked
from peftcli.report.statistics import combining
from peftcli.report.statistics.combining import Statement

Lister = Callable[[Any, Evidence], Listing]
LISTERS: dict[str, Lister] = {}  # by the word in a recipe
NO_TEST = "no valid test"


def lists(*kinds: type[Check]) -> Callable[[Lister], Lister]:
    """Register a function as the one that lists what these kinds compare."""

    def register(lister: Lister) -> Lister:
        """The same function, registered."""
        for options in kinds:
            LISTERS[word(options)] = lister
        return lister

    return register


def word(options: type[Check]) -> str:
    """Return a kind's word in recipes: `kind: Literal["better"]` says it once."""
    return str(get_args(options.model_fields["kind"].annotation)[0])


def listing(check: Any, evidence: Evidence) -> Listing:
    """Return what a check compares. Raises UserError for a column or a strategy that is not there."""
    # Standard deviations of a few seeds have no test whose error holds when values are not normal.
    if check.kind not in LISTERS or getattr(check, "measure", "mean") == "std":
        return Listing((), why_not=NO_TEST)
    return LISTERS[check.kind](check, evidence)


def test(check: Any, evidence: Evidence) -> CheckAnswer:
    """Test one check on the numbers of a claim. Raises UserError for a column or a strategy that is not there."""
    compared = listing(check, evidence)
    parts = tuple(_part(family, evidence) for family in compared.families)
    statement = combining.all_of([part.statement for part in parts])
    if not parts:
        statement = combining.untested(compared.why_not or "no number")
    return CheckAnswer(check.kind, statement.answer, statement, parts, compared.correction)


def _part(family: Family, evidence: Evidence) -> Part:
    """Test a family's comparisons, and what must come out of them together."""
    tested = [
        ranking.tested(each, evidence) if isinstance(each, Ranked) else sides.tested(each, evidence)
        for each in family.compared
    ]
    statements = [statement for _, statement in tested]
    together = combining.at_least(family.needed, statements)
    if family.exactly is not None:
        together = _exactly(family.exactly, statements)
    if not statements:  # that none of no comparisons came out says nothing
        together = combining.untested("no number")
    return Part(family.needed, tuple(comparison for comparison, _ in tested), together)


def _exactly(times: int, statements: Sequence[Statement]) -> Statement:
    """Test that so many statements hold and no more; what cannot fail, as at least none of them, is no part of it."""
    enough = [combining.at_least(times, statements)] if times > 0 else []
    more = combining.opposite(combining.at_least(times + 1, statements))
    return combining.all_of(enough + ([more] if times < len(statements) else []))
