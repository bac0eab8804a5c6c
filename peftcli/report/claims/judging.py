"""Judging a recipe's claims on our records and on the printed cells."""

from collections.abc import Sequence
from typing import Any

from peftcli.errors import UserError
from peftcli.experiment.recipe import Recipe
from peftcli.models import catalogue
from peftcli.report.claims import comparing, counting, testing
from peftcli.report.claims import spec as vocabulary
from peftcli.report.claims.evidence import Evidence, gather
from peftcli.report.claims.spec import Claim
from peftcli.report.claims.verdicts import Finding, Judged, Verdict
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Table

JUDGES: dict[str, comparing.Judge] = {
    "better": comparing.better,
    "within": comparing.within,
    "order": comparing.order,
    "best": comparing.best_of,
    "worst": comparing.best_of,
    "mostly": comparing.mostly,
    "top": counting.top,
    "how many": counting.how_many,
    "times best": counting.times_best,
    "overlap": testing.overlap,
    "welch": testing.welch,
    "near majority": testing.near_majority,
    "descends": testing.descends,
    "rank correlation": testing.rank_correlation,
    "trend": testing.trend,
}
NAMING = ("strategies", "strategy", "than", "among", "of", "times")  # the keys of checks that name strategies
assert set(JUDGES) == set(vocabulary.KINDS)


def judge(recipe: Recipe, claim: Claim, tables: Sequence[Table]) -> Judged:
    """Judge one claim; `tables` are the recipe's own and those the claim names. Raises UserError for unknown names."""
    try:
        ours, printed = (_findings(claim, gather(tables, printed)) for printed in (False, True))
    except UserError as error:
        raise UserError(f"recipe {recipe.path.name}: claim {claim.claim[:60]!r}: {error}") from None
    if tables[0].view.published is None and tables[0].view.model is None:
        printed = ()  # no paper's recipe: there is nothing printed to judge
    verdict, note = overall(ours), _copied(claim, gather(tables, True))
    if reason := not_the_papers(recipe, tables[0]):
        verdict, note = "cannot be judged", "; ".join(filter(None, (reason, note)))
    return Judged(claim.claim, claim.where, verdict, ours, note, overall(printed), printed)


def overall(findings: Sequence[Finding]) -> Verdict:
    """The verdict on checks that must all hold; there is none where there are no findings."""
    verdicts = [finding.verdict for finding in findings]
    order: tuple[Verdict, ...] = ("does not hold", "cannot be judged", "not enough runs")
    return next((verdict for verdict in order if verdict in verdicts), "holds") if verdicts else "cannot be judged"


def not_the_papers(recipe: Recipe, table: Table) -> str:
    """Say what sets these runs apart from the paper's, so that its claims cannot be judged on them; else nothing."""
    wanted = table.view.model
    if wanted is not None and catalogue.pin(recipe.model)[0] != wanted:
        return f"the model is {recipe.model}, not the paper's {wanted}"
    changed = {key: value for key, value in recipe.overrides.items() if key != "precision"}
    words = ", ".join(f"{key}={value}" for key, value in changed.items())
    return f"trained with {words}, not as the paper's protocol says" if wanted is not None and changed else ""


def _findings(claim: Claim, evidence: Evidence) -> tuple[Finding, ...]:
    return tuple(_finding(check, evidence) for check in claim.checks)


def _finding(check: Any, evidence: Evidence) -> Finding:
    return JUDGES[check.kind](check, evidence)


def _copied(claim: Claim, evidence: Evidence) -> str:
    """Name the copied cells that the claim's strategies would have had."""
    names = [name for check in claim.checks for field in NAMING for name in _listed(getattr(check, field, None))]
    selectors = [Selector.parse(name) for name in names]
    found = dict.fromkeys(
        f"{number.label} on {number.place}"
        for number in evidence.numbers
        if number.copied and any(selector.fits(number) for selector in selectors)
    )
    return f"left out, copied from another paper: {', '.join(found)}" if found else ""


def _listed(names: Any) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)
