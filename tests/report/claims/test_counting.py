"""Checks that count: how many were won, of how many, as the printed cells say."""

from tests.report.claims.cases import COUNTS, judged_as_printed


def test_rules_count() -> None:
    rules = [f.rule for name in COUNTS for claim in judged_as_printed(name) for f in claim.printed_findings]
    for words in (
        "better in more than 50% of 16 comparisons: 13 won",
        "among the best 3 in at least 4 of 7 columns: 5",
        "at least 5 of 9 better in their mean: 5",
        "at least 5 of 9 better in their std: 6",
        "spafit:groups=4-9,variant=II best in 7 columns, claimed 7",
        "Welch's test tells apart: BitFit 5e-4 on CoLA, LayerNorm 5e-4 on CoLA",
    ):
        assert any(words in rule for rule in rules), words
