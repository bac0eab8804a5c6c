"""Which function tests a check of a kind, beside the judge that compares it as printed.

A kind without one has no valid test, and its tested answer says so. Overlap and nearness to the majority class are about
deviations of a few seeds, for which no test keeps its error rate when values are not normal; to be so many deviations above
it is another statement than a mean above a constant. Rank correlations and trends are over cells that are not
independent, or over the orders of very few. That no run learned, or how far a loss goes back, is counted run by run.
"""

from collections.abc import Callable
from typing import Any, get_args

from peftcli.report.claims.answers import CheckAnswer, Part
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.spec import Check
from peftcli.report.statistics import combining

Tester = Callable[[Any, Evidence], CheckAnswer]
TESTERS: dict[str, Tester] = {}  # by the word in a recipe
NO_TEST = "no valid test"


def tests(*kinds: type[Check]) -> Callable[[Tester], Tester]:
    """Register a function as the tester of these kinds."""

    def register(tester: Tester) -> Tester:
        """The same function, registered."""
        for options in kinds:
            TESTERS[word(options)] = tester
        return tester

    return register


def word(options: type[Check]) -> str:
    """Return a kind's word in recipes: `kind: Literal["better"]` says it once."""
    return str(get_args(options.model_fields["kind"].annotation)[0])


def test(check: Any, evidence: Evidence) -> CheckAnswer:
    """Test one check on the numbers of a claim. Raises UserError for a column or a strategy that is not there."""
    # Standard deviations of a few seeds have no test whose error holds when values are not normal.
    if check.kind not in TESTERS or getattr(check, "measure", "mean") == "std":
        return untested(check, NO_TEST)
    return TESTERS[check.kind](check, evidence)


def conclude(check: Any, parts: list[Part], correction: str = "") -> CheckAnswer:
    """Return the result of a check whose parts must all come out as claimed."""
    statement = combining.all_of([part.statement for part in parts])
    if not parts:
        statement = combining.untested("no number")
    return CheckAnswer(check.kind, statement.answer, statement, tuple(parts), correction)


def untested(check: Any, why_not: str) -> CheckAnswer:
    """Return the result of a check that cannot be tested."""
    return conclude(check, [Part(1, (), combining.untested(why_not))])
