"""The lines below a table: counts of runs, cost, claims with their numbers. The same in every text format."""

from collections.abc import Iterator, Sequence

from peftcli.experiment.durations import HOUR, SPELLED, in_words
from peftcli.report.claims.verdicts import Finding, Judged
from peftcli.report.formats import answers
from peftcli.report.summary import Report
from peftcli.tasks import imported_only

SHOWN = 12  # comparisons of one check that are shown; more are counted


def imported(report: Report) -> str | None:
    """Say that runs were not trained here, and where they come from: a report's first line; None where all were."""
    if not report.imported:
        return None
    sources = "; ".join(f"{count} runs from {source}" for source, count in report.imported.items())
    trained = sum(report.counts.values()) - report.counts.get("missing", 0) - sum(report.imported.values())
    beside = f" Beside them {trained} runs that were trained here." if trained else ""
    return " ".join(filter(None, [f"Imported, not trained here: {sources}.{beside}", _single(report)]))


def _single(report: Report) -> str:
    """Say what can be told apart where every imported cell is one run; "" where one has several."""
    cells = [cell for cell in report.table.cells() if cell.sources]
    if not cells or max(cell.n for cell in cells) > 1:
        return ""
    counts = {imported_only.examples(report.recipe.tasks[cell.task_entry][1].options) for cell in cells}
    if None in counts:
        return "One run each: there is no variance of seeds to test a difference by."
    of = " or ".join(f"{count:,}" for count in sorted(filter(None, counts)))
    return (
        f"One run each, all on the same {of} test examples: intervals are over the examples alone, unpaired and without "
        "the variance of seeds, so that nothing is called supported."
    )


def runs(report: Report) -> str:
    """Say how many of the recipe's runs there are, by state."""
    total, others = sum(report.counts.values()), sum(report.imported.values())
    parts = [f"{count} {state}" for state, count in report.counts.items() if count]
    planned = f"{total - others} planned and {others} imported" if others else f"{total} planned"
    return f"Runs: {planned}; {', '.join(parts)}." if parts else "Runs: none planned."


def cost(report: Report) -> str | None:
    """Say what the recorded runs took; None where no record tells."""
    if not report.cost.hours and not report.cost.tokens:
        return None
    devices = f" on {', '.join(report.cost.devices)}" if report.cost.devices else ""
    return f"Cost: {in_words(HOUR * report.cost.hours, SPELLED)}{devices}, {report.cost.tokens:,} tokens."


def claim(judged: Judged) -> Iterator[str]:
    """Yield the lines of one claim: verdict and sentence, the tested answers, then the numbers of every check."""
    printed = f"printed cells: {judged.printed}" if judged.printed_findings else ""
    by_test = f"learning rates by the test split: {judged.by_test}" if judged.by_test else ""
    aside = "; ".join(filter(None, (judged.where, by_test, printed)))
    yield f"[{judged.verdict}] {judged.claim}" + (f" ({aside})" if aside else "")
    if judged.note:
        yield f"  {judged.note}"
    shown = set()
    for head, tested in answers.answers(judged):
        yield f"  {head}: {answers.answer(tested)}"
        # One comparison, the one that decides, where there is an answer that no line above has.
        told = [each for each in answers.ordered(tested) if each.estimate is not None and tested.answer not in shown]
        more = f"; {len(told) - 1} more comparison{'s' * (len(told) > 2)}" if len(told) > 1 else ""
        yield from (f"    {answers.comparison(each)}{more}" for each in told[:1])
        shown |= {tested.answer} if told else set()
    for finding in judged.findings:
        yield f"  {finding.verdict}: {finding.rule}. Test: {finding.test}."
        if steps(finding):
            yield f"    {steps(finding)}"
    # Other numbers are worth their lines where they lead to another verdict than ours.
    if judged.by_test != judged.verdict:
        yield from _other(judged.by_test_findings, "by the test split")
    if judged.printed != judged.verdict:
        yield from _other(judged.printed_findings, "printed")


def _other(findings: Sequence[Finding], head: str) -> Iterator[str]:
    for finding in findings:
        yield f"  {head}: {finding.verdict}: {finding.rule}"
        if steps(finding):
            yield f"    {steps(finding)}"


def steps(finding: Finding) -> str:
    """Return the comparisons of a check in one line, those first that did not come out as claimed."""
    ordered = sorted(finding.steps, key=lambda each: each.holds is not False)
    # The failing ones lead: they are what a reader looks for.
    shown = [("✗ " if each.holds is False else "") + each.text for each in ordered[:SHOWN]]
    more = [f"and {len(ordered) - SHOWN} more"] if len(ordered) > SHOWN else []
    return "; ".join([*shown, *more])
