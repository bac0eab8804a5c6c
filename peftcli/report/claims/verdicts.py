"""What judging a claim comes to: a verdict, and the numbers and the test behind it."""

from dataclasses import dataclass
from typing import Literal

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
    """A claim, where it stands, the verdict on our records and on the printed cells, with the findings behind each.

    `note` says why a claim cannot be judged, or what was left out as copied. A recipe that reproduces no paper has no
    `printed_findings`.
    """

    claim: str
    where: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    note: str
    printed: Verdict
    printed_findings: tuple[Finding, ...]
