"""Judging a recipe's claims on our records and on the printed cells."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from peftcli.errors import UserError
from peftcli.experiment import departures
from peftcli.experiment.departures import Departures
from peftcli.experiment.recipe import Recipe
from peftcli.models import catalogue
from peftcli.report.claims.evidence import AVERAGE, Evidence
from peftcli.report.claims.gathering import gather
from peftcli.report.claims.spec import KINDS, Claim
from peftcli.report.claims.tested import answering
from peftcli.report.claims.verdicts import Finding, Judged, overall
from peftcli.report.table.selectors import Selector
from peftcli.report.table.table import Table


def judge(
    recipe: Recipe,
    claim: Claim,
    tables: Sequence[Table],
    otherwise: Sequence[Departures] = (departures.NONE,),
    output: Path | None = None,
) -> Judged:
    """Judge one claim, and test it; `tables` are the recipe's own and those it names. Raises UserError for unknown names.

    `otherwise`: how the recipe's runs, and those of the other tables, differ from the recipes as shipped. `output`: the
    folder of their records.
    """
    shown, in_print = (
        replace(gather(tables, printed=printed), output=output, beside=recipe.path.parent) for printed in (False, True)
    )
    held_out = any(cell.held_out is not None for table in tables for cell in table.cells())
    try:
        ours, printed = (_findings(claim, evidence) for evidence in (shown, in_print))
        tested, tested_in_print = (answering.answer(claim, evidence) for evidence in (shown, in_print))
        by_test, tested_by_test = ours, tested
        if held_out:  # only then can the numbers that are shown choose another learning rate
            chosen_by_test = replace(gather(tables, False, by_test=True), output=output, beside=recipe.path.parent)
            by_test, tested_by_test = _findings(claim, chosen_by_test), answering.answer(claim, chosen_by_test)
    except UserError as error:
        raise UserError(f"recipe {recipe.path.name}: claim {claim.claim[:60]!r}: {error}") from None
    of_a_paper = tables[0].view.published is not None or tables[0].view.model is not None
    if not of_a_paper:
        printed = ()  # there is nothing printed to judge
    # The numbers are shown all the same where a verdict would be unfair.
    verdict, note = overall(ours), _copied(claim, in_print)
    fewer, seeds = _seeds(claim, tables, otherwise, shown)
    if fewer and verdict != "cannot be judged":
        verdict = "not enough runs"
    if reason := not_the_papers(recipe, tables[0], otherwise):
        verdict = "cannot be judged"
        tested, tested_by_test = (answering.unjudged(each, reason) for each in (tested, tested_by_test))
    chosen = "learning rates are those that held-out examples choose" if by_test != ours else ""
    return Judged(
        claim=claim.claim,
        where=claim.where,
        verdict=verdict,
        findings=ours,
        note="; ".join(filter(None, (reason, seeds, chosen, note))),
        printed=overall(printed),
        printed_findings=printed,
        by_test=overall(by_test) if chosen else None,
        by_test_findings=by_test if chosen else (),
        tested=tested,
        printed_tested=tested_in_print if of_a_paper else None,
        by_test_tested=tested_by_test if tested_by_test != tested else None,
    )


def _findings(claim: Claim, evidence: Evidence) -> tuple[Finding, ...]:
    return tuple(KINDS[check.kind].judge(check, evidence) for check in claim.checks)


def not_the_papers(recipe: Recipe, table: Table, otherwise: Sequence[Departures]) -> str:
    """Say what sets these runs apart from the paper's, so that its claims cannot be judged on them; else ""."""
    wanted = table.view.model
    if wanted is None:
        return ""
    if catalogue.pin(recipe.model)[0] != wanted:
        return f"the model is {recipe.model}, not the paper's {wanted}"
    changes = dict.fromkeys(change.text for each in otherwise for change in each.changes)
    return f"not the paper's protocol: {', '.join(changes)}" if changes else ""


def _seeds(
    claim: Claim, tables: Sequence[Table], otherwise: Sequence[Departures], evidence: Evidence
) -> tuple[bool, str]:
    """Whether the claim's columns have fewer seeds than the paper's, and how many of how many; "" where they are as many."""
    columns = {key[0] for check in claim.checks for key in evidence.columns(check.on)}
    counts: dict[tuple[str, int, int], dict[str, None]] = {}
    for table, apart in zip(tables, otherwise, strict=False):  # others are as shipped
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
