"""A report's claims in HTML: the verdict, the sentence and its place, and on demand the numbers behind it."""

from collections.abc import Sequence

from peftcli.report.claims.verdicts import Finding, Judged
from peftcli.report.formats.html.elements import Markup, bullets, fold, join, tag

SIGNS = {"holds": "✓", "does not hold": "✗", "not enough runs": "…", "cannot be judged": "?"}
SHOWN = 40  # comparisons of a check; more are counted


def render(claims: Sequence[Judged]) -> Markup:
    """Write every claim in the recipe's order, after a line that counts the verdicts."""
    counts = [(verdict, sum(judged.verdict == verdict for judged in claims)) for verdict in SIGNS]
    summary = "; ".join(f"{verdict}: {count}" for verdict, count in counts if count)
    return join([tag("p", f"Of {len(claims)} claims, {summary}."), tag("ol", *map(_claim, claims), class_="claims")])


def _claim(judged: Judged) -> Markup:
    printed = f" On the paper's printed numbers: {judged.printed}." if judged.printed_findings else ""
    parts: list[str] = [
        tag("p", _badge(judged.verdict), " ", judged.claim),
        tag("p", f"{judged.where}.{printed}", class_="where"),
    ]
    if judged.note:
        parts.append(tag("p", judged.note, class_="where"))
    if judged.findings or judged.printed_findings:
        ours = [_finding(finding, "Ours") for finding in judged.findings]
        theirs = [_finding(finding, "Printed") for finding in judged.printed_findings]
        parts.append(fold("The numbers", *ours, *theirs))
    return tag("li", *parts)


def _badge(verdict: str) -> Markup:
    kind = verdict.replace(" ", "-")
    return tag("span", tag("span", SIGNS[verdict], aria_hidden="true"), " ", verdict, class_=f"badge {kind}")


def _finding(finding: Finding, whose: str) -> Markup:
    ordered = sorted(finding.steps, key=lambda step: step.holds is not False)
    words = [("✗ " if step.holds is False else "") + step.text for step in ordered[:SHOWN]]
    if len(ordered) > SHOWN:
        words.append(f"and {len(ordered) - SHOWN} more")
    test = f" Test: {finding.test}." if finding.test else ""
    return join([tag("p", tag("strong", f"{whose}: {finding.verdict}"), f", {finding.rule}.{test}"), bullets(words)])
