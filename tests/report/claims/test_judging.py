"""Claims: on the printed cells each of the papers' comes out as the papers' own numbers say; shuffled, most do not."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from peftcli.experiment import plan, recipe
from peftcli.report import summary
from peftcli.report.claims import judging, spec
from peftcli.report.claims.spec import Claim
from peftcli.report.claims.verdicts import Judged
from peftcli.report.table import build, published, selection
from peftcli.report.table.published import Published
from peftcli.report.table.table import Table
from tests.written_records import TABLES, from_published, load

NOWHERE = Path("nowhere")
FAILING = {  # on the papers' own printed cells
    "256 outliers of each LayerNorm are comparable with full fine-tuning (within 1 point)": "RTE",
    "BitFit and LayerNorm, at their best rates, beat full fine-tuning on all tasks but QNLI": "RTE: LayerNorm",
    "no other difference from full fine-tuning is significant (Welch's test)": "CoLA",
}
COUNTS = {
    **{"transferability/table1": 5, "transferability/table2": 1, "transferability/table3": 3},
    **{"transferability/table4": 3, "freezing/table1": 7, "freezing/table2": 1, "freezing/table3": 1},
    **{"effectiveness/table1": 5, "effectiveness/table2": 2, "spafit/table2": 3},
}


def claim_of(check: dict[str, Any]) -> Claim:
    return spec.parse({"claim": "-", "where": "-", "checks": [check]}, "-")


@cache
def empty(name: str) -> Table:
    made = load(name)
    return build.tabulate(made, selection.outcomes(plan.expand(made), NOWHERE))


def judged(name: str, table: Callable[[str], Table] = empty) -> list[Judged]:
    made, paper = load(name), name.partition("/")[0]
    beside = [[table(f"{paper}/{Path(other).stem}") for other in claim.tables] for claim in spec.read(made)]
    return [
        judging.judge(made, claim, [table(name), *others])
        for claim, others in zip(spec.read(made), beside, strict=True)
    ]


@pytest.mark.parametrize("name", TABLES)
def test_claims_on_the_printed_cells(name: str) -> None:
    found = judged(name)
    assert len(found) == COUNTS[name]
    for claim in found:
        assert claim.printed == ("does not hold" if claim.claim in FAILING else "holds"), claim.claim
        assert claim.verdict == "not enough runs", "no record, nothing to judge"
        failing = [step.text for finding in claim.printed_findings for step in finding.steps if step.holds is False]
        if claim.claim in FAILING:
            assert any(FAILING[claim.claim] in text for text in failing)


NUMBERS = {  # what the printed cells give, as a line of some claim's numbers
    "transferability/table1": ["Avg.: Multi-Head 83.2, Full-FT 82.8 (+0.4)", "CoLA: Random 35.5, Frozen 35.2 (+0.3)"],
    "transferability/table2": ["CoNLL macro: LayerNorms 92.4, Full-FT 94.2 (-1.8)"],
    "transferability/table3": ["MRPC: best is #5 89.0", "RTE: worst is #12 60.5", "RTE: #12 60.5, Frozen 58.6 (+1.9)"],
    "transferability/table4": ["RTE: Outlier 256 68.8, Full-FT 71.7 (-2.9)", "STS-B: Outlier 64 86.5, Random 64 86.5"],
    "freezing/table1": ["RTE: LayerNorm 5e-4 65.3, Full 3e-5 65.6 (-0.3)", "p = 0.0073", "majority class 52.7"],
    "effectiveness/table1": ["rho = 0.399, p = 1e-06, n = 140", "AVG: best is SAM 77.12", "AVG: best is SAM 1.51"],
    "spafit/table2": ["RTE: SPAFIT-4-9-II 0.76, Full Fine-tuning 0.76 (+0.00)"],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_behind_a_verdict_are_given(name: str) -> None:
    lines = [step.text for claim in judged(name) for finding in claim.printed_findings for step in finding.steps]
    for words in NUMBERS[name]:
        assert any(words in line for line in lines), words


def test_rules_count() -> None:
    rules = [f.rule for name in COUNTS for claim in judged(name) for f in claim.printed_findings]
    for words in (
        "better in more than 50% of 16 comparisons: 13 won",
        "among the best 3 in at least 4 of 7 columns: 5",
        "at least 5 of 9 better in their mean: 5",
        "at least 5 of 9 better in their std: 6",
        "spafit:groups=4-9,variant=II best in 7 columns, claimed 7",
        "Welch's test tells apart: BitFit 5e-4 on CoLA, LayerNorm 5e-4 on CoLA",
    ):
        assert any(words in rule for rule in rules), words


def test_table_1_alone_and_table_2_alone_correlate_as_their_cells_say() -> None:
    for name, rho in (("effectiveness/table1", "0.485"), ("effectiveness/table2", "0.310")):
        claim = claim_of({"kind": "rank correlation"})
        found = judging.judge(load(name), claim, [empty(name)])
        assert f"rho = {rho}" in found.printed_findings[0].steps[0].text


def test_records_made_from_the_printed_cells_are_judged_as_those(tmp_path: Path) -> None:
    for name in ("transferability/table3", "transferability/table1", "transferability/table4", "freezing/table1"):
        from_published(load(name), tmp_path / name)

    @cache
    def table(name: str) -> Table:
        made = load(name)
        return build.tabulate(made, selection.outcomes(plan.expand(made), tmp_path / name))

    for name in ("transferability/table4", "freezing/table1"):
        for claim in judged(name, table):
            assert claim.verdict == claim.printed, claim.claim


def shuffled(cells: Sequence[Published], seed: int) -> tuple[Published, ...]:
    """Deal the means and deviations of a table out anew, within its columns' strategies; averages follow the cells."""
    dealt = [cell for cell in cells if cell.task != "average"]
    numbers = [(cell.mean, cell.std, cell.maximum) for cell in dealt]
    random.Random(seed).shuffle(numbers)
    new = [
        replace(cell, mean=mean, std=std, maximum=maximum)
        for cell, (mean, std, maximum) in zip(dealt, numbers, strict=True)
    ]
    averages = []
    for cell in cells:
        if cell.task == "average":
            own = [other for other in new if (other.strategy, other.setting) == (cell.strategy, cell.setting)]
            std = fmean(other.std or 0 for other in own) if cell.std is not None else None
            averages.append(replace(cell, mean=round(fmean(other.mean or 0 for other in own), cell.decimals), std=std))
    return (*new, *averages)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.whole) for seed in (1, 2))])
def test_on_shuffled_numbers_most_that_hold_do_not(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    original = published.read
    monkeypatch.setattr(published, "read", lambda path: shuffled(original(path), seed))

    @cache
    def table(name: str) -> Table:
        made = load(name)
        return build.tabulate(made, selection.outcomes(plan.expand(made), NOWHERE))

    verdicts = [claim for name in TABLES for claim in judged(name, table)]
    held = [claim.printed == "holds" for claim in verdicts if claim.claim not in FAILING]
    assert sum(held) < len(held) / 3, f"{sum(held)} of {len(held)}"


def test_copied_cells_are_left_out() -> None:
    made = load("transferability/table1")
    check = {"kind": "better", "strategies": "bitfit", "than": "frozen"}
    claim = claim_of(check)
    found = judging.judge(made, claim, [empty("transferability/table1")])
    undecided = [step.text for step in found.printed_findings[0].steps if step.holds is None]
    assert [text.partition(":")[0] for text in undecided] == ["MNLI_m", "MNLI_mm", "QNLI"]
    assert "copied" in found.note
    assert "BitFit on QNLI" in found.note
    averaged = claim_of(check | {"on": "average"})
    assert judging.judge(made, averaged, [empty("transferability/table1")]).printed == "cannot be judged"


def test_copied_cells_take_no_place_among_all() -> None:
    check = {"kind": "top", "strategy": "layernorm", "places": 4, "at_least": 1, "on": "qnli"}
    claim = claim_of(check)
    found = judging.judge(load("transferability/table1"), claim, [empty("transferability/table1")])
    assert found.printed_findings[0].steps[0].text == "QNLI: LayerNorms 89.4, place 4 of 8"


COVERING = ("demo", "freezing/table2", "spafit/table2", "effectiveness/figure5")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in COVERING else pytest.mark.whole) for n in recipe.shipped()]
)
def test_every_shipped_claim_names_strategies_and_columns_that_are_there(name: str) -> None:
    made = recipe.load(recipe.find(name))
    claims = summary.summarise(made, NOWHERE, False).claims
    assert [claim.claim for claim in claims] == [claim["claim"] for claim in made.claims]
