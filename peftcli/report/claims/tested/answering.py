"""A claim's tested answer: what its checks come to together, and Holm's adjustment over a recipe's claims."""

from collections.abc import Sequence
from dataclasses import replace

from peftcli.report.claims.answers import ClaimAnswer
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.spec import Claim
from peftcli.report.claims.tested import planning, registry
from peftcli.report.claims.verdicts import Judged
from peftcli.report.statistics import combining


def answer(claim: Claim, evidence: Evidence) -> ClaimAnswer:
    """Test a claim on the numbers of its tables. Raises UserError for a column or a strategy that is not there."""
    checks = tuple(registry.test(check, evidence) for check in claim.checks)
    whole = combining.all_of([check.statement for check in checks])
    # With a check that cannot be judged, and that could decide, the others' p-values say nothing of the whole.
    judged = whole.answer != "cannot be judged"
    tested = judged and any(each.p_value is not None for check in checks for each in check.comparisons)
    decided = whole.answer in ("supported", "contradicted")
    return ClaimAnswer(
        answer=whole.answer,
        why_not="" if decided else whole.why_not,
        p_value=min(1.0, 2 * min(whole.supporting, whole.against)) if tested else None,
        checks=checks,
        seeds=planning.seeds(checks) if judged and not decided else None,
        caution=next((c.caution for check in checks for c in check.comparisons if c.caution), ""),
    )


def unjudged(tested: ClaimAnswer, why_not: str) -> ClaimAnswer:
    """Return an answer that says nothing of the claim, though its comparisons stand: they are of other runs."""
    return replace(tested, answer="cannot be judged", why_not=why_not, p_value=None, seeds=None)


def adjusted(claims: Sequence[Judged]) -> list[Judged]:
    """Return a recipe's claims with Holm's adjustment of their p-values, on our records and on the printed cells."""
    ours = _holm([judged.tested for judged in claims])
    printed = _holm([judged.printed_tested for judged in claims])
    return [
        replace(judged, tested=mine, printed_tested=theirs)
        for judged, mine, theirs in zip(claims, ours, printed, strict=True)
    ]


def _holm(answers: Sequence[ClaimAnswer | None]) -> list[ClaimAnswer | None]:
    p_values = {at: each.p_value for at, each in enumerate(answers) if each is not None and each.p_value is not None}
    adjusted = dict(zip(p_values, combining.holm(list(p_values.values())), strict=True))
    return [each and replace(each, holm=adjusted.get(at)) for at, each in enumerate(answers)]
