"""A page's claims: two answers each, as printed and tested over seeds, and on demand the numbers behind both."""

from collections.abc import Sequence

from peftcli.report.claims.answers import ClaimAnswer
from peftcli.report.claims.verdicts import Finding, Judged
from peftcli.report.formats import answers
from peftcli.report.formats.html.elements import Markup, bullets, fold, join, tag

STEPS_SHOWN = 40  # comparisons of a check; more are counted
SIGNS = {"holds": "✓", "does not hold": "✗", "not enough runs": "…", "cannot be judged": "?"}
TESTED_SIGNS = {"supported": "✓", "contradicted": "✗", "leans for": "↗", "leans against": "↘", "cannot be judged": "?"}
HEADS = {
    "tested": "Tested on our runs",
    "tested, any learning rate": "With any learning rate, not the one that held-out examples choose",
    "tested, printed cells": "Tested on the printed cells",
}


def render(judged: Sequence[Judged]) -> Markup:
    """Write every claim in the recipe's order, after lines that count the answers; nothing where there is no claim."""
    if not judged:
        return Markup("")
    counts = [(verdict, sum(claim.verdict == verdict for claim in judged)) for verdict in SIGNS]
    summary = "; ".join(f"{verdict}: {count}" for verdict, count in counts if count)
    ours = [claim.tested.answer for claim in judged if claim.tested is not None]
    tested = "; ".join(f"{answer}: {ours.count(answer)}" for answer in TESTED_SIGNS if answer in ours)
    words = f"Of {len(judged)} claims, as printed: {summary}." + (f" Tested: {tested}." if tested else "")
    return join([tag("p", answers.about(judged)), tag("p", words), tag("ol", *map(_claim, judged), class_="claims")])


def _claim(judged: Judged) -> Markup:
    """Write both answers, the sentence and its place, and on demand the numbers behind them."""
    badges: list[str] = [_badge(judged.verdict, SIGNS[judged.verdict])]
    if judged.tested is not None:
        badges += [" ", _badge(judged.tested.answer, TESTED_SIGNS[judged.tested.answer], "tested: ")]
    printed = f"On the paper's printed numbers: {judged.printed}." if judged.printed_findings else ""
    parts: list[str] = [tag("p", *badges, " ", judged.claim)]
    by_test = f"With learning rates chosen by the test split: {judged.by_test}." if judged.by_test else ""
    if aside := " ".join(filter(None, (judged.where and f"{judged.where}.", by_test, printed))):
        parts.append(tag("p", aside, class_="where"))
    if judged.note:
        parts.append(tag("p", judged.note, class_="where"))
    parts += [tag("p", f"{HEADS[head]}: {answers.answer(tested)}.", class_="where") for head, tested in _tested(judged)]
    comparisons = [_comparisons(head, tested) for head, tested in _tested(judged)]
    findings = [
        *(_finding(finding, "Ours") for finding in judged.findings),
        *(_finding(finding, "Ours, rates by the test split") for finding in judged.by_test_findings),
        *(_finding(finding, "Printed") for finding in judged.printed_findings),
    ]
    if findings:
        parts.append(fold("The numbers", *comparisons, *findings))
    return tag("li", *parts)


def _tested(judged: Judged) -> list[tuple[str, ClaimAnswer]]:
    return list(answers.answers(judged))


def _badge(answer: str, sign: str, before: str = "") -> Markup:
    # The sign repeats the word for the eye alone: a screen reader would spell it out.
    spoken = tag("span", sign, aria_hidden="true")
    return tag("span", spoken, " ", f"{before}{answer}", class_=f"badge {answer.replace(' ', '-')}")


def _comparisons(head: str, tested: ClaimAnswer) -> Markup:
    """Write the comparisons of a tested answer, those that decide it first; nothing where there is no estimate."""
    told = [answers.comparison(each) for each in answers.ordered(tested) if each.estimate is not None]
    if not told:
        return Markup("")
    more = [f"and {len(told) - STEPS_SHOWN} more"] if len(told) > STEPS_SHOWN else []
    corrections = dict.fromkeys(check.correction for check in tested.checks if check.correction)
    words = f" {'; '.join(corrections)}." if corrections else ""
    return join([tag("p", tag("strong", HEADS[head]), f".{words}"), bullets([*told[:STEPS_SHOWN], *more])])


def _finding(finding: Finding, whose: str) -> Markup:
    ordered = sorted(finding.steps, key=lambda step: step.holds is not False)  # what decides a check comes first
    words = [("✗ " if step.holds is False else "") + step.text for step in ordered[:STEPS_SHOWN]]
    if len(ordered) > STEPS_SHOWN:
        words.append(f"and {len(ordered) - STEPS_SHOWN} more")
    test = f" Test: {finding.test}." if finding.test else ""
    return join([tag("p", tag("strong", f"{whose}: {finding.verdict}"), f", {finding.rule}.{test}"), bullets(words)])
