"""Claims: on the printed cells each of the papers' comes out as the papers' own numbers say; shuffled, most do not."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean

import pytest

from peftcli.experiment import recipe
from peftcli.importing.importing import import_runs
from peftcli.report import summary
from peftcli.report.formats.lines import claim as lines_of
from peftcli.report.table import build, published
from peftcli.report.table.published import Published
from peftcli.report.table.table import Table
from tests.report.claims.by_hand import BY_HAND
from tests.report.claims.cases import (
    BETTER,
    COUNTS,
    NOWHERE,
    judge,
    judged,
    judged_as_printed,
    not_run,
)
from tests.written_records import TABLES, fill, from_published, runs, small, unsynced, write

FAILING = {  # on the papers' own printed cells
    "256 outliers of each LayerNorm are comparable with full fine-tuning (within 1 point)": "RTE",
    "BitFit and LayerNorm, at their best rates, beat full fine-tuning on all tasks but QNLI": "RTE: LayerNorm",
    "no other difference from full fine-tuning is significant (Welch's test)": "CoLA",
    "the LayerNorms of one middle layer are comparable with those of all layers (within 3 points), task by task": "CoLA",
    "in most cases SPAFIT is better than the better LoRA": "WNLI",
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
    "effectiveness/table1": [
        "stability and performance: rho = 0.418, p = 3.8e-08, n = 160",
        "AVG: best is SAM 77.12",
        "AVG: best is SAM 1.51",
    ],
    "spafit/table2": ["RTE: SPAFIT-4-9-II 0.76, Full Fine-tuning 0.76 (+0.00)"],
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_behind_a_verdict_are_given(name: str) -> None:
    lines = [
        step.text for claim in judged_as_printed(name) for finding in claim.printed_findings for step in finding.steps
    ]
    for words in NUMBERS[name]:
        assert any(words in line for line in lines), words


def test_claims_by_hand() -> None:
    by_claim = {claim.claim: claim for name in TABLES for claim in judged_as_printed(name)}
    for words, steps in BY_HAND.items():
        judged_steps = [step for finding in by_claim[words].printed_findings for step in finding.steps]
        assert [(step.holds, step.text) for step in judged_steps] == steps, words


def test_spafit_against_lora_by_hand() -> None:
    """Six SPAFIT models on nine tasks, each beside the better of two LoRA models: as many as in the paper's Table 2."""
    lora = {"cola": 0.64, "mnli": 0.86, "mrpc": 0.92, "qnli": 0.92, "qqp": 0.9, "rte": 0.72}
    lora |= {"sst2": 0.93, "stsb": 0.9, "wnli": 0.56}
    spafit = {
        "cola": (0.62, 0.63, 0.62, 0.64, 0.64, 0.63), "mnli": (0.86, 0.86, 0.86, 0.86, 0.87, 0.86),
        "mrpc": (0.92, 0.92, 0.91, 0.92, 0.92, 0.92), "qnli": (0.92, 0.93, 0.93, 0.92, 0.92, 0.92),
        "qqp": (0.9, 0.9, 0.9, 0.91, 0.91, 0.9), "rte": (0.73, 0.74, 0.73, 0.74, 0.76, 0.73),
        "sst2": (0.93,) * 6, "stsb": (0.9, 0.9, 0.9, 0.91, 0.9, 0.9), "wnli": (0.56,) * 6,
    }  # fmt: skip
    pairs = [(one, lora[task]) for task, row in spafit.items() for one in row]
    as_good, better = sum(one >= other for one, other in pairs), sum(one > other for one, other in pairs)
    assert (len(pairs), as_good, better) == (54, 49, 12), "49 of 54 is more than 75 %, 12 is not more than half"
    rules = [finding.rule for claim in judged_as_printed("spafit/table2") for finding in claim.printed_findings]
    assert f"better or equal in more than 75% of 54 comparisons: {as_good} won" in rules
    assert f"better in more than 50% of 54 comparisons: {better} won" in rules


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


SET = {
    "protocol=released": "not the paper's protocol: protocol released instead of described, dropout_until 1.0 instead of 0.1",
    "precision=bfloat16": "not the paper's protocol: precision bfloat16 instead of float32",
    "batch_size=32": "not the paper's protocol: batch_size 32 instead of 8",
    "learning_rates=[1e-4]": "not the paper's protocol: learning_rates 0.0001 instead of 0.0001, 0.0005, 0.001",
}


@pytest.mark.parametrize("pair", SET)
def test_what_is_not_the_papers_is_not_judged_whichever_key_was_set(pair: str, tmp_path: Path) -> None:
    made = recipe.load(recipe.find("freezing/table3"), recipe.parse_set([pair]))
    from_published(made, tmp_path)
    (found,) = summary.summarise(made, tmp_path, False).claims
    assert (found.verdict, found.printed) == ("cannot be judged", "holds")
    assert found.note.startswith(SET[pair])
    assert found.findings[0].verdict == "holds", "the numbers are shown all the same"


def test_a_claim_on_fewer_seeds_than_the_papers_says_how_many_it_had(tmp_path: Path) -> None:
    judged_on = {}
    for seeds in (2, 10, 12):
        made = recipe.load(recipe.find("freezing/table3"), {"seeds": seeds})
        from_published(made, tmp_path / str(seeds))
        (judged_on[seeds],) = summary.summarise(made, tmp_path / str(seeds), False).claims
    assert (judged_on[2].verdict, judged_on[2].note) == ("not enough runs", "2 seeds on rte where the paper had 10")
    assert judged_on[2].findings[0].verdict == "holds", "the numbers are shown all the same"
    assert (judged_on[10].verdict, judged_on[10].note) == ("holds", "")
    assert (judged_on[12].verdict, judged_on[12].note) == ("holds", "12 seeds on rte where the paper had 10")


def test_imported_runs_are_counted_as_they_are(tmp_path: Path) -> None:
    """Of them a claim says how many there are beside the paper's number, whatever seeds the recipe plans."""
    everything = recipe.root() / "freezing/authors_runs.csv"
    head, *lines = everything.read_text(encoding="utf-8").splitlines(keepends=True)
    some = tmp_path / "some.csv"  # every third row of RTE: three or four runs a cell
    some.write_text("".join([head, *[line for line in lines if ",rte," in line][::3]]), encoding="utf-8")
    for seeds, file, verdict, note in (
        (10, everything, "holds", ""),
        (2, everything, "holds", ""),
        (10, some, "not enough runs", "runs on rte where the paper had 10"),
    ):
        made = recipe.load(recipe.find("freezing/table3"), {"seeds": seeds})
        output = tmp_path / f"{file.stem}{seeds}"
        with unsynced():
            import_runs(file, made, output, "its author", None, {})
        (found,) = summary.summarise(made, output, False).claims
        assert found.verdict == verdict
        assert note in found.note
        assert bool(note) == ("where the paper had" in found.note)


def test_seeds_that_another_task_lacks_are_no_matter_to_a_claim(tmp_path: Path) -> None:
    made = recipe.load(recipe.find("freezing/table1"), {"seeds": 2})
    from_published(made, tmp_path)
    on_sst2, *others = [
        judged
        for judged in summary.summarise(made, tmp_path, False).claims
        if judged.claim.startswith("random parameters")
    ]
    assert (on_sst2.verdict, on_sst2.note) == ("holds", "")
    assert (others[0].verdict, others[0].note) == ("not enough runs", "2 seeds on rte where the paper had 10")


def test_one_check_against_it_decides_though_another_is_open(tmp_path: Path) -> None:
    made = small(learning_rates=[1e-3])
    fill(made, tmp_path, lambda run: 0.5)
    for file in tmp_path.glob("cola/full-*.json"):
        file.unlink()
    fails, lacks = BETTER | {"on": "rte"}, BETTER | {"on": "cola"}
    assert judge(tmp_path, made, lacks, fails).verdict == "does not hold"
    assert judge(tmp_path, made, lacks).verdict == "not enough runs"
    assert judge(tmp_path, made, fails | {"or_equal": True}, lacks).verdict == "not enough runs"


def test_rates_chosen_by_held_out_examples_decide_and_those_by_the_test_split_are_told(tmp_path: Path) -> None:
    table = {"rows": ["strategy", "learning_rate"], "select": "every learning rate"}
    made = small(tasks=["rte"], table=table, training={"validation_share": 0.1, "restore_best": True})
    with unsynced():
        for run in runs(made):
            # LayerNorm at 1e-3 is better on the test split, and worse on held-out examples; full is in between.
            test = 0.6 if run.strategy == "full" else 0.7 if run.learning_rate == 1e-3 else 0.5
            held_out = 0.6 if run.strategy == "full" else 0.4 if run.learning_rate == 1e-3 else 0.5
            write(tmp_path, run, {"validation": {"accuracy": held_out}, "test": {"accuracy": test}})
    found = judge(tmp_path, made, BETTER)
    assert (found.verdict, found.by_test) == ("does not hold", "holds")
    assert found.findings[0].steps[0].text.startswith("rte: layernorm 1e-4 50.0, full 1e-4 60.0 (-10.0")
    assert found.by_test_findings[0].steps[0].text.startswith("rte: layernorm 1e-3 70.0, full 1e-4 60.0 (+10.0")
    assert found.note == "learning rates are those that held-out examples choose"
    lines = list(lines_of(found))
    assert lines[0].endswith("(-; learning rates by the test split: holds)")
    assert any(line.startswith("  by the test split: holds: better than full") for line in lines)
    one_rate = judge(tmp_path, made, BETTER | {"strategies": "layernorm:learning_rate=1e-4"})
    assert (one_rate.verdict, one_rate.by_test, one_rate.note) == ("does not hold", None, "")
