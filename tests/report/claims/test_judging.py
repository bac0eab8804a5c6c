"""Claims: on the printed cells each of the papers' comes out as the papers' own numbers say; shuffled, most do not."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean

import pytest

from peftcli.experiment import recipe
from peftcli.report import summary
from peftcli.report.table import build, published
from peftcli.report.table.published import Published
from peftcli.report.table.table import Table
from tests.report.claims.cases import (
    BETTER,
    COUNTS,
    NOWHERE,
    judge,
    judged,
    judged_as_printed,
    not_run,
)
from tests.written_records import TABLES, fill, small

FAILING = {  # on the papers' own printed cells
    "256 outliers of each LayerNorm are comparable with full fine-tuning (within 1 point)": "RTE",
    "BitFit and LayerNorm, at their best rates, beat full fine-tuning on all tasks but QNLI": "RTE: LayerNorm",
    "no other difference from full fine-tuning is significant (Welch's test)": "CoLA",
}


@pytest.mark.parametrize("name", TABLES)
def test_claims_on_the_printed_cells(name: str) -> None:
    found = judged_as_printed(name)
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
    lines = [
        step.text for claim in judged_as_printed(name) for finding in claim.printed_findings for step in finding.steps
    ]
    for words in NUMBERS[name]:
        assert any(words in line for line in lines), words


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


@pytest.mark.parametrize("seed", range(3))
def test_on_shuffled_numbers_most_that_hold_do_not(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    original = published.read
    monkeypatch.setattr(published, "read", lambda path: shuffled(original(path), seed))

    @cache
    def table(name: str) -> Table:
        return build.tabulate(*not_run(name))

    verdicts = [claim for name in TABLES for claim in judged(name, table)]
    held = [claim.printed == "holds" for claim in verdicts if claim.claim not in FAILING]
    assert sum(held) < len(held) / 3, f"{sum(held)} of {len(held)}"


COVERING = ("demo", "freezing/table2", "spafit/table2", "effectiveness/figure5")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in COVERING else pytest.mark.whole) for n in recipe.shipped()]
)
def test_every_shipped_claim_names_strategies_and_columns_that_are_there(name: str) -> None:
    made = recipe.load(recipe.find(name))
    claims = summary.summarise(made, NOWHERE, False).claims
    assert [claim.claim for claim in claims] == [claim["claim"] for claim in made.claims]


def test_another_model_or_protocol_than_the_papers_is_not_judged(tmp_path: Path) -> None:
    table = {"model": "bert-base-uncased"}
    made = small(learning_rates=[1e-3], table=table)
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10)
    found = judge(tmp_path, made, BETTER)
    assert found.verdict == "cannot be judged"
    assert found.note == "the model is minilm, not the paper's bert-base-uncased"
    assert found.findings[0].verdict == "holds", "the numbers are shown all the same"
    papers = made.model_copy(update={"model": "bert-base-uncased", "overrides": {"epochs": 1.0}})
    found = judge(tmp_path, papers, BETTER)
    assert (found.verdict, "epochs=1.0" in found.note) == ("cannot be judged", True)


def test_one_check_against_it_decides_though_another_is_open(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    for file in tmp_path.glob("cola/full-*.json"):
        file.unlink()
    fails, lacks = BETTER | {"on": "rte"}, BETTER | {"on": "cola"}
    assert judge(tmp_path, made, lacks, fails).verdict == "does not hold"
    assert judge(tmp_path, made, lacks).verdict == "not enough runs"
    assert judge(tmp_path, made, fails | {"or_equal": True}, lacks).verdict == "not enough runs"
