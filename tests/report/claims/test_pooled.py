"""Trends over all columns together: effectiveness' Figure 5 by hand, and what may not count."""

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from peftcli.experiment import recipe as recipes
from peftcli.report import summary
from tests.report.claims.cases import judge
from tests.written_records import fill, from_published, small

# Read off the paper's figure, to two digits: test means and deviations at these shares, a line a task.
AT = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
MEANS = """
56.85 56.83 57.47 60.03 60.89 61.00 60.89 60.27 61.12 60.18
90.38 90.54 90.67 90.67 90.58 90.55 90.61 90.52 90.53 90.44
87.98 88.14 88.32 88.56 88.84 88.87 89.29 89.04 89.13 88.76
72.68 73.33 75.16 75.05 75.33 76.75 76.39 75.20 76.03 76.06
91.25 88.39 88.04 89.64 88.04 88.21 86.07 85.36 84.11 82.32
69.30 71.20 71.10 71.80 72.50 74.00 73.40 72.70 73.10 71.70
57.12 59.04 60.48 58.94 59.13 58.65 55.77 56.73 57.98 53.46
"""
SPREADS = """
1.92 2.46 2.86 3.31 0.96 1.07 0.96 1.03 1.42 2.16
0.00 0.10 0.13 0.11 0.17 0.21 0.18 0.21 0.11 0.36
1.11 0.79 0.90 0.60 0.49 0.77 0.85 0.63 1.08 0.81
2.41 3.28 2.90 1.52 2.31 1.02 0.86 1.44 1.52 0.82
4.62 2.91 2.77 3.27 5.05 2.14 2.62 4.29 3.14 3.52
3.44 3.22 1.70 3.79 4.78 2.49 2.73 3.98 3.14 5.00
4.43 4.39 4.54 4.24 4.20 2.54 3.33 3.96 4.53 5.16
"""
PRINTED = ["holds", "does not hold", "holds", "holds"]


def by_hand(table: str, low: float, high: float) -> Any:
    shares, ranks = [], []
    for line in table.split("\n")[1:-1]:
        counted = [(share, float(word)) for share, word in zip(AT, line.split(), strict=True) if low <= share <= high]
        shares += [share for share, _ in counted]
        ranks += list(stats.rankdata([value for _, value in counted]))
    return stats.spearmanr(shares, ranks)


def test_figure_5_s_claims_by_hand() -> None:
    recipe = recipes.load(recipes.find("effectiveness/figure5"))
    claims = summary.summarise(recipe, Path("nowhere"), False).claims
    wanted = [
        by_hand(SPREADS, 0.01, 1), by_hand(SPREADS, 0, 0.01), by_hand(MEANS, 0.01, 1), by_hand(MEANS, 0, 0.01)
    ]  # fmt: skip
    assert [claim.printed for claim in claims] == PRINTED
    assert [claim.verdict for claim in claims] == ["not enough runs"] * 4
    for claim, test, sign in zip(claims, wanted, (1, -1, -1, 1), strict=True):
        (step,) = claim.printed_findings[0].steps
        assert f"rho = {test.statistic:.3f}, p = {test.pvalue:.2g}, n = " in step.text
        assert step.holds == (sign * test.statistic > 0 and test.pvalue < 0.05)
    # Below 1 % the printed deviations do rise, but not beyond chance: p = 0.07.
    assert wanted[1].statistic < 0
    assert 0.05 < wanted[1].pvalue < 0.1


@pytest.mark.whole
def test_figure_5_s_claims_on_records_that_come_to_the_printed_cells(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/figure5"))
    from_published(recipe, tmp_path)
    assert [claim.verdict for claim in summary.summarise(recipe, tmp_path, False).claims] == PRINTED


TREND = {"kind": "common trend", "strategy": "random", "option": "share", "direction": "rises"}
SHARES = [{"random": {"share": share}} for share in (0.01, 0.02, 0.03, 0.04)]


def test_a_trend_is_of_all_columns_together_and_of_what_is_within_bounds(tmp_path: Path) -> None:
    """It rises up to 3 % on two tasks whose numbers lie far apart, and falls from there."""
    made = small(strategies=SHARES, learning_rates=[1e-3], tasks=["rte", "cola", "mrpc", "sst2"])
    peak = {0.01: 0.1, 0.02: 0.2, 0.03: 0.3, 0.04: 0.0}
    far = {"rte": 0.0, "cola": 0.1, "mrpc": 0.5, "sst2": 0.6}
    fill(made, tmp_path, lambda run: peak[run.options["share"]] + far[run.task])
    assert judge(tmp_path, made, TREND).verdict == "does not hold"
    rising = judge(tmp_path, made, {**TREND, "highest": 0.03})
    assert rising.verdict == "holds"
    assert rising.findings[0].steps[0].text.startswith("mean within its column and share: rho = 1.000")
    assert rising.findings[0].rule == "mean rises with share up to 0.03 in all columns together"
    assert judge(tmp_path, made, {**TREND, "direction": "falls", "lowest": 0.03}).verdict == "holds"
    assert judge(tmp_path, made, {**TREND, "lowest": 0.03}).verdict == "does not hold"


def test_without_every_run_nothing_is_said_and_without_a_row_within_bounds_neither(tmp_path: Path) -> None:
    made = small(strategies=SHARES, learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: run.options["share"])
    assert judge(tmp_path, made, {**TREND, "lowest": 0.5}).verdict == "cannot be judged"
    next(tmp_path.glob("cola/*.json")).unlink()
    assert judge(tmp_path, made, TREND).verdict == "not enough runs"
