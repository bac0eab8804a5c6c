"""Judging a recipe's claims on our records and on the printed cells."""

from collections.abc import Sequence

from peftcli.errors import UserError
from peftcli.experiment import departures
from peftcli.experiment.departures import Departures
from peftcli.experiment.recipe import Recipe
from peftcli.models import catalogue
from peftcli.report.claims.answers import ClaimAnswer
from peftcli.report.claims.evidence import AVERAGE, Evidence
from peftcli.report.claims.gathering import Gathered
from peftcli.report.claims.spec import KINDS, Claim
from peftcli.report.claims.tested import answering
from peftcli.report.claims.verdicts import Finding, Judged, overall
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Table


def judge(
    recipe: Recipe, claim: Claim, gathered: Gathered, otherwise: Sequence[Departures] = (departures.NONE,)
) -> Judged:
    """Judge one claim on the numbers of the tables that it is over, and test it. Raises UserError for unknown names.

    `otherwise`: how the runs of each table differ from those of its recipe as shipped.
    """
    try:
        ours, tested = _on(claim, gathered.ours)
        printed, printed_tested = _on(claim, gathered.printed) if gathered.printed else ((), None)
        by_test, by_test_tested = _on(claim, gathered.by_test) if gathered.by_test else (ours, tested)
    except UserError as error:
        raise UserError(f"recipe {recipe.path.name}: claim {claim.claim[:60]!r}: {error}") from None
    # The numbers are shown all the same where a verdict would be unfair.
    verdict = overall(ours)
    fewer, seeds = _seeds(claim, gathered, otherwise)
    if fewer and verdict != "cannot be judged":
        verdict = "not enough runs"
    if reason := not_the_papers(recipe, gathered.tables[0], otherwise):
        verdict = "cannot be judged"
        tested, by_test_tested = (answering.unjudged(each, reason) for each in (tested, by_test_tested))
    chosen = "learning rates are those that held-out examples choose" if by_test != ours else ""
    copied = _copied(claim, gathered.printed) if gathered.printed else ""
    return Judged(
        claim=claim.claim,
        where=claim.where,
        verdict=verdict,
        findings=ours,
        note="; ".join(filter(None, (reason, seeds, chosen, copied))),
        printed=overall(printed),
        printed_findings=printed,
        by_test=overall(by_test) if chosen else None,
        by_test_findings=by_test if chosen else (),
        tested=tested,
        printed_tested=printed_tested,
        by_test_tested=by_test_tested if by_test_tested != tested else None,
    )


def _on(claim: Claim, evidence: Evidence) -> tuple[tuple[Finding, ...], ClaimAnswer]:
    """Return what a claim comes to on some numbers: as printed, check by check, and tested."""
    return tuple(KINDS[check.kind].judge(check, evidence) for check in claim.checks), answering.answer(claim, evidence)


def not_the_papers(recipe: Recipe, table: Table, otherwise: Sequence[Departures]) -> str:
    """Say what sets these runs apart from the paper's, so that its claims cannot be judged on them; else ""."""
    wanted = table.view.model
    if wanted is None:
        return ""
    if catalogue.pin(recipe.model)[0] != wanted:
        return f"the model is {recipe.model}, not the paper's {wanted}"
    changes = dict.fromkeys(change.text for each in otherwise for change in each.changes)
    return f"not the paper's protocol: {', '.join(changes)}" if changes else ""


def _seeds(claim: Claim, gathered: Gathered, otherwise: Sequence[Departures]) -> tuple[bool, str]:
    """Whether the claim's columns have fewer seeds than the paper's, and how many of how many; "" where they are as many."""
    columns = {key[0] for check in claim.checks for key in gathered.ours.columns(check.on)}
    counts: dict[tuple[str, int, int], dict[str, None]] = {}
    for table, apart in zip(gathered.tables, otherwise, strict=False):  # others are as shipped
        for cell in table.cells() if table.view.model is not None else ():
            had, wanted, what = *apart.counts.get((cell.task, cell.strategy), (0, 0)), "seeds"
            # Imported runs are as many as they are, whatever the recipe plans: the paper's own number is beside them.
            if cell.sources and table.view.select != "every run":
                printed = cell.published.n if cell.published is not None else None
                had, wanted, what = cell.planned, cell.planned if printed is None else printed, "runs"
            if had != wanted and columns & {cell.column, AVERAGE[0]}:
                counts.setdefault((what, had, wanted), {})[cell.column] = None
    words = [
        f"{had} {what} on {', '.join(on)} where the paper had {wanted}" for (what, had, wanted), on in counts.items()
    ]
    return any(had < wanted for _, had, wanted in counts), "; ".join(words)


def _copied(claim: Claim, evidence: Evidence) -> str:
    """Name the copied cells that the claim's strategies would have had."""
    selectors = [Selector.parse(name) for check in claim.checks for name in check.strategy_names()]
    cells = dict.fromkeys(
        f"{number.label} on {number.column_label}"
        for number in evidence.numbers
        if number.copied and any(selector.fits(number) for selector in selectors)
    )
    return f"left out, copied from another paper: {', '.join(cells)}" if cells else ""
