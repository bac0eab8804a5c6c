"""What judging a claim comes to: a verdict, and the numbers and the test behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from peftcli.report.claims.answers import ClaimAnswer

Verdict = Literal["holds", "does not hold", "not enough runs", "cannot be judged"]


@dataclass(frozen=True)
class Step:
    """One comparison: its numbers in words ("cola: layernorm 52.8 > random 35.5"), and whether it came out as claimed.

    `holds` is None where it is undecided, for the `reason`: runs that are missing, or a number that nobody printed.
    """

    text: str
    holds: bool | None
    reason: Verdict = "holds"


@dataclass(frozen=True)
class Finding:
    """One check: its verdict, the rule that made one of its steps ("in every column"), the steps, the test used."""

    verdict: Verdict
    rule: str
    steps: tuple[Step, ...]
    test: str


@dataclass(frozen=True)
class Judged:
    """A claim, where it stands, and what it comes to on our records and on the printed cells: as printed, and tested.

    `verdict` and `printed` compare numbers as printed, with the findings behind each; `tested` and `printed_tested` are the
    answers over seeds, each with its error rate.
    `note` says why a claim cannot be judged, or what was left out as copied. A recipe that reproduces no paper has no
    `printed_findings`. Where another learning rate of ours would be chosen by the numbers shown than held-out examples
    choose, `by_test` and `by_test_findings` are what the claim then comes to, and `by_test_tested` is its answer; the verdict
    is not.
    """

    claim: str
    where: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    note: str
    printed: Verdict
    printed_findings: tuple[Finding, ...]
    by_test: Verdict | None = None
    by_test_findings: tuple[Finding, ...] = ()
    tested: ClaimAnswer | None = None
    printed_tested: ClaimAnswer | None = None
    by_test_tested: ClaimAnswer | None = None


def overall(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict on checks that must all hold; where there is no finding, it cannot be judged."""
    verdicts = [finding.verdict for finding in findings]
    # What weighs most first: one check that fails decides, whatever the open ones would say.
    order: tuple[Verdict, ...] = ("does not hold", "cannot be judged", "not enough runs")
    return next((verdict for verdict in order if verdict in verdicts), "holds") if verdicts else "cannot be judged"
