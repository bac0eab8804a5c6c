"""Claims: on the printed cells each of the papers' comes out as the papers' own numbers say; shuffled, most do not."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from scipy import stats

from peftcli import plan, published, recipe, selection, summary, tabulation
from peftcli.claims import judging, vocabulary
from peftcli.claims.verdicts import Judged
from peftcli.claims.vocabulary import Claim
from peftcli.errors import UserError
from peftcli.published import Published
from peftcli.recipe import Recipe
from peftcli.tables import Table
from tests.made import TABLES, fill, from_published, load, runs, small

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


@cache
def empty(name: str) -> Table:
    made = load(name)
    return tabulation.tabulate(made, selection.outcomes(plan.expand(made), NOWHERE))


def judged(name: str, table: Callable[[str], Table] = empty) -> list[Judged]:
    made, paper = load(name), name.partition("/")[0]
    beside = [[table(f"{paper}/{Path(other).stem}") for other in claim.tables] for claim in vocabulary.read(made)]
    return [
        judging.judge(made, claim, [table(name), *others])
        for claim, others in zip(vocabulary.read(made), beside, strict=True)
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
        claim = Claim.model_validate({"claim": "-", "where": "-", "checks": [{"kind": "rank correlation"}]})
        found = judging.judge(load(name), claim, [empty(name)])
        assert f"rho = {rho}" in found.printed_findings[0].steps[0].text


def test_records_made_from_the_printed_cells_are_judged_as_those(tmp_path: Path) -> None:
    for name in ("transferability/table3", "transferability/table1", "transferability/table4", "freezing/table1"):
        from_published(load(name), tmp_path / name)

    @cache
    def table(name: str) -> Table:
        made = load(name)
        return tabulation.tabulate(made, selection.outcomes(plan.expand(made), tmp_path / name))

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


def test_on_shuffled_numbers_most_that_hold_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    original = published.read
    held: list[bool] = []
    for seed in range(3):
        monkeypatch.setattr(published, "read", lambda path, seed=seed: shuffled(original(path), seed))

        @cache
        def table(name: str) -> Table:
            made = load(name)
            return tabulation.tabulate(made, selection.outcomes(plan.expand(made), NOWHERE))

        verdicts = [claim for name in TABLES for claim in judged(name, table)]
        held += [claim.printed == "holds" for claim in verdicts if claim.claim not in FAILING]
    assert sum(held) < len(held) / 3, f"{sum(held)} of {len(held)}"


def test_copied_cells_are_left_out() -> None:
    made = load("transferability/table1")
    check = {"kind": "better", "strategies": "bitfit", "than": "frozen"}
    claim = Claim.model_validate({"claim": "-", "where": "-", "checks": [check]})
    found = judging.judge(made, claim, [empty("transferability/table1")])
    undecided = [step.text for step in found.printed_findings[0].steps if step.holds is None]
    assert [text.partition(":")[0] for text in undecided] == ["MNLI_m", "MNLI_mm", "QNLI"]
    assert "copied" in found.note
    assert "BitFit on QNLI" in found.note
    averaged = Claim.model_validate({"claim": "-", "where": "-", "checks": [check | {"on": "average"}]})
    assert judging.judge(made, averaged, [empty("transferability/table1")]).printed == "cannot be judged"


def test_copied_cells_take_no_place_among_all() -> None:
    check = {"kind": "top", "strategy": "layernorm", "places": 4, "at_least": 1, "on": "qnli"}
    claim = Claim.model_validate({"claim": "-", "where": "-", "checks": [check]})
    found = judging.judge(load("transferability/table1"), claim, [empty("transferability/table1")])
    assert found.printed_findings[0].steps[0].text == "QNLI: LayerNorms 89.4, place 4 of 8"


CLAIM = {"claim": "-", "where": "-"}


def judge(tmp_path: Path, made: Recipe, *checks: dict[str, Any]) -> Judged:
    claims = [{**CLAIM, "checks": list(checks)}]
    return summary.summarise(made.model_copy(update={"claims": claims}), tmp_path, False).claims[0]


BETTER = {"kind": "better", "strategies": "layernorm", "than": "full"}


def test_verdicts_on_our_runs(tmp_path: Path) -> None:
    made = small(seeds=6, learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10 + run.seed / 1000)
    found = judge(tmp_path, made, BETTER)
    assert (found.verdict, found.printed, found.printed_findings) == ("holds", "cannot be judged", ())
    p_value = stats.wilcoxon([10.0] * 6, method="exact").pvalue
    assert found.findings[0].steps[0].text == f"rte: layernorm 60.2, full 50.2 (+10.0, p = {p_value:.2g})"
    assert "Wilcoxon" in found.findings[0].test
    assert judge(tmp_path, made, BETTER | {"by": 10.0}).verdict == "holds"
    assert judge(tmp_path, made, BETTER | {"by": 10.1}).verdict == "does not hold"
    assert (
        judge(tmp_path, made, {"kind": "better", "strategies": "full", "than": "layernorm"}).verdict == "does not hold"
    )


def test_one_column_against_it_decides_though_others_are_open(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    run = runs(made, task="cola", strategy="full")[0]
    next(tmp_path.glob(f"cola/full-{run.id}.json")).unlink()
    assert judge(tmp_path, made, BETTER).verdict == "does not hold", "equal on rte"
    assert judge(tmp_path, made, BETTER | {"or_equal": True}).verdict == "not enough runs"
    assert judge(tmp_path, made, BETTER | {"or_equal": True, "on": "rte"}).verdict == "holds"


def test_one_check_against_it_decides_though_another_is_open(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    for file in tmp_path.glob("cola/full-*.json"):
        file.unlink()
    fails, lacks = BETTER | {"on": "rte"}, BETTER | {"on": "cola"}
    assert judge(tmp_path, made, lacks, fails).verdict == "does not hold"
    assert judge(tmp_path, made, lacks).verdict == "not enough runs"
    assert judge(tmp_path, made, fails | {"or_equal": True}, lacks).verdict == "not enough runs"


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


def test_a_strategy_that_always_diverged_cannot_be_judged(tmp_path: Path) -> None:
    from tests.made import write

    made = small(tasks=["rte"], learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    for run in runs(made, strategy="layernorm"):
        write(tmp_path, run, {}, "diverged")
    assert judge(tmp_path, made, BETTER).verdict == "cannot be judged"


def test_one_seed_is_not_enough_for_a_deviation(tmp_path: Path) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3], seeds=1, table={"ddof": 0})
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10)
    assert judge(tmp_path, made, BETTER).verdict == "holds"
    assert judge(tmp_path, made, BETTER | {"measure": "std"}).verdict == "not enough runs"
    welch = {"kind": "welch", "strategies": "layernorm", "than": "full", "is": "higher"}
    assert judge(tmp_path, made, welch).verdict == "not enough runs"


def test_welch_equals_scipy(tmp_path: Path) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3], seeds=5)
    ours, theirs = [0.61, 0.62, 0.60, 0.63, 0.60], [0.58, 0.62, 0.57, 0.60, 0.59]
    fill(made, tmp_path, lambda run: (ours if run.strategy == "layernorm" else theirs)[run.seed])
    p_value = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
    for wanted, holds in (("higher", p_value < 0.05), ("lower", False), ("not different", p_value >= 0.05)):
        found = judge(tmp_path, made, {"kind": "welch", "strategies": "layernorm", "than": "full", "is": wanted})
        assert found.verdict == ("holds" if holds else "does not hold")
        assert found.findings[0].steps[0].text.endswith(f"p = {p_value:.2g}")


def test_a_trend_over_an_option_is_spearmans(tmp_path: Path) -> None:
    strategies = [{"magpruning": {"share": share}} for share in (0.001, 0.01, 0.05, 0.1, 0.2)]
    made = small(tasks=["rte"], learning_rates=[1e-3], strategies=strategies)
    fill(made, tmp_path, lambda run: 0.5 + run.options["share"])
    check = {"kind": "trend", "strategy": "magpruning", "option": "share", "direction": "rises"}
    found = judge(tmp_path, made, check)
    assert found.verdict == "holds"
    assert found.findings[0].steps[0].text.startswith("rte: mean and share: rho = 1.000, p = 0.017, n = 5")
    assert judge(tmp_path, made, check | {"direction": "falls"}).verdict == "does not hold"


def test_open_columns_decide_a_count_only_when_they_can(tmp_path: Path) -> None:
    made = small(tasks=["rte", "cola", "wnli"], learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10)
    for file in tmp_path.glob("wnli/full-*.json"):
        file.unlink()
    top = {"kind": "top", "strategy": "layernorm", "places": 1}
    assert judge(tmp_path, made, top | {"at_least": 2}).verdict == "holds"
    assert judge(tmp_path, made, top | {"at_least": 3}).verdict == "not enough runs"
    assert judge(tmp_path, made, top | {"strategy": "full", "at_least": 2}).verdict == "does not hold"


def claims_of(*checks: Any, **more: Any) -> Recipe:
    return small(claims=[{**CLAIM, "checks": list(checks), **more}])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (claims_of({"kind": "bettr"}), "unknown kind of check 'bettr': did you mean 'better'"),
        (claims_of("better"), "unknown kind of check ''"),
        (claims_of(BETTER | {"then": "full"}), "unknown key 'then': did you mean 'than'"),
        (claims_of(BETTER | {"measure": "median"}), "unknown value 'median'"),
        (claims_of(BETTER, quote="x"), "unknown key 'quote'"),
        (claims_of(), "checks"),
        (claims_of(BETTER | {"strategies": "layernrm"}), "unknown strategy of a claim 'layernrm': did you mean"),
        (claims_of(BETTER | {"on": "rtee"}), "unknown column of a claim 'rtee': did you mean 'rte'"),
        (claims_of(BETTER, tables=["none.yaml"]), "cannot read recipe"),
    ],
)
def test_a_claim_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, made: Recipe, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        summary.summarise(made, tmp_path, False)
    assert "\n" not in str(caught.value)


def test_every_shipped_claim_names_strategies_and_columns_that_are_there() -> None:
    for name in recipe.shipped():
        made = recipe.load(recipe.find(name))
        assert [claim.claim for claim in summary.summarise(made, NOWHERE, False).claims] == [
            claim["claim"] for claim in made.claims
        ]
