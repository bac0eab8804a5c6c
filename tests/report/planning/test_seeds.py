"""Plans of seeds equal statsmodels', for a stated difference and never for the observed one; claims are planned jointly."""

import math
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from peftcli.experiment.recipe import Recipe
from peftcli.report import summary
from peftcli.report.claims.answers import Seeds as ReportedSeeds
from peftcli.report.planning.seeds import PairPlan, SeedPlan
from tests.report.planning.studies import NOWHERE, planned
from tests.written_records import fill, load, runs, small, write


@pytest.fixture(scope="module")
def table1() -> SeedPlan:
    return planned(load("transferability/table1"))


def pair(plan: SeedPlan, one: str, column: str, other: str = "Full-FT") -> PairPlan:
    (only,) = (p for p in plan.pairs if (p.one, p.other, p.column) == (one, other, column))
    return only


def two_samples(deviation: float, other: float, difference: float, power: float = 0.8) -> int:
    effect = difference / math.sqrt((deviation**2 + other**2) / 2)
    return math.ceil(float(TTestIndPower().solve_power(effect, None, 0.05, power)))


def test_a_pair_s_seeds_are_statsmodels_on_the_printed_deviations(table1: SeedPlan) -> None:
    sample = math.sqrt(3 / 2)
    layernorm = pair(table1, "LayerNorms", "CoLA")  # 52.8 ± 2.0 and 54.7 ± 0.7
    assert layernorm.seeds is not None
    assert layernorm.seeds.n == two_samples(2.0 * sample, 0.7 * sample, 1.0) == 54
    assert layernorm.spread is not None
    low, _ = layernorm.spread.ends()
    assert layernorm.seeds.low == two_samples(low.shown, low.shown, 1.0) == 17
    assert layernorm.seeds.high is None  # more than 1,000
    assert (layernorm.difference, layernorm.planned, layernorm.seeds.hours) == (1.0, 3, None)
    copied = pair(table1, "BitFit", "QNLI")
    assert (copied.seeds, copied.spread, copied.reason) == (None, None, "copied from another paper")
    # Eight rows beside the reference in ten columns; LayerNorms and random, random and frozen on nine tasks each;
    # two averages; a middle layer on four tasks.
    assert len(table1.pairs) == 8 * 10 + 2 * 9 + 2 + 4


def test_what_is_planned_for_is_what_was_asked_never_what_was_seen(tmp_path: Path) -> None:
    recipe = small(seeds=4, tasks=["rte"], learning_rates=[1e-3], table={"reference": "full"})
    seeds = []
    for observed in (0.001, 0.3):
        scores = {"full": [0.5 + observed] * 4, "layernorm": [0.5 + seed / 50 for seed in range(4)]}
        fill(recipe, tmp_path, lambda run, scores=scores: scores[run.strategy][run.seed])  # type: ignore[misc]
        seeds.append([p.seeds for p in planned(recipe, tmp_path, detect=3.0).pairs])
    assert seeds[0] == seeds[1]
    deviation = 100 * math.sqrt(sum((seed / 50 - 0.03) ** 2 for seed in range(4)) / 3)
    assert seeds[0][0] is not None
    assert seeds[0][0].n == math.ceil(float(TTestPower().solve_power(3.0 / deviation, None, 0.05, 0.8)))


def test_without_a_difference_each_claim_s_margin_is_planned_for() -> None:
    plan = planned(load("transferability/table2"), detect=None)
    both = [p.difference for p in plan.pairs if (p.one, p.other, p.column) == ("LayerNorms", "Full-FT", "PTB")]
    assert both == [1.0, 0.2]  # the reference's point, and the claim's margin
    fractions = planned(load("spafit/table2"), detect=None)
    assert {p.difference for p in fractions.pairs} == {0.01}


def test_a_claim_of_nine_comparisons_is_planned_so_that_all_nine_are_found(table1: SeedPlan) -> None:
    claim = table1.claims[3]  # LayerNorms beat random parameters on every task
    assert (claim.comparisons, claim.each) == (9, pytest.approx(1 - 0.2 / 9))
    assert claim.hardest is not None
    assert claim.hardest.seeds is not None
    assert claim.hardest.column == "CoLA"  # 2.0 and 3.0
    sample = math.sqrt(3 / 2)
    assert claim.hardest.seeds.n == two_samples(2.0 * sample, 3.0 * sample, 1.0, 1 - 0.2 / 9) == 309
    alone = table1.claims[0]
    assert (alone.comparisons, alone.each) == (1, pytest.approx(0.8))


def test_a_claim_that_needs_some_of_its_comparisons_is_planned_for_the_easiest() -> None:
    claim = planned(load("transferability/table4")).claims[0]  # outliers beat random elements in most cases
    assert (claim.comparisons, claim.needed) == (16, 9)
    assert claim.each == pytest.approx(1 - 0.2 / 9)
    assert claim.hardest is not None
    assert claim.hardest.seeds is not None
    # By deviation the ninth of sixteen: RTE with four outliers, 0.6 and 0.6; at least 9 of 16 are tested at 0.05 / 8.
    made = claim.hardest.spread
    assert made is not None
    effect = 1 / made.shown
    assert claim.hardest.seeds.n == math.ceil(float(TTestIndPower().solve_power(effect, None, 0.05 / 8, claim.each)))
    alone = [
        p.seeds.n or 0
        for p in planned(load("transferability/table4")).pairs
        if p.seeds and "Outlier" in p.one and "Random" in p.other
    ]
    assert sum(n < claim.hardest.seeds.n for n in alone) >= 9


def assert_as_the_report(recipe: Recipe, output: Path, where: str) -> int:
    """A plan for the claims' margins says of every claim what the report says that would decide it; how many say so."""
    claims = summary.summarise(recipe, output, False).claims
    compared = 0
    for judged, plan in zip(claims, planned(recipe, output, detect=None).claims, strict=True):
        tested = getattr(judged, where)
        # A plan is for all of a claim; a report leaves out what is decided by now.
        if tested.seeds is None or any(p.statement.answer == "supported" for c in tested.checks for p in c.parts):
            continue
        hardest = plan.hardest
        assert hardest is not None
        assert hardest.seeds is not None
        words = f"{hardest.column}: {hardest.one}, {hardest.other}"
        # A report names the learning rate of a side that stands for several.
        reported = replace(tested.seeds, hardest=re.sub(r" \de-\d", "", tested.seeds.hardest))
        wanted = ReportedSeeds(hardest.seeds.n, hardest.difference, plan.needed, re.sub(r" \de-\d", "", words))
        assert reported == wanted
        compared += 1
    return compared


@pytest.mark.parametrize(
    ("name", "claims"),
    [("effectiveness/table1", 1), ("freezing/table1", 4), ("freezing/table3", 1), ("transferability/table3", 2)],
)
def test_a_plan_and_a_report_ask_for_the_same_seeds_on_the_printed_cells(name: str, claims: int) -> None:
    # Among them are best, worst and top; rows at several rates; and rows that fall from column to column.
    assert assert_as_the_report(load(name), NOWHERE, "printed_tested") == claims


def test_a_plan_and_a_report_ask_for_the_same_seeds_on_records(tmp_path: Path) -> None:
    claims = [
        {"kind": "best", "among": "full"},
        {"kind": "top", "strategy": "layernorm", "places": 2, "at_least": 1},
        {"kind": "times best", "times": {"full": 1, "bitfit": 1}},
        {"kind": "better", "strategies": ["layernorm", "bitfit"], "than": "full", "by": 0.5},
        {"kind": "welch", "strategies": "layernorm", "than": "bitfit", "is": "not different", "margin": 2.0},
    ]
    recipe = small(strategies=["full", "layernorm", "bitfit"], seeds=5)  # of two rates each, neither held out for
    recipe = recipe.model_copy(update={"claims": [{"claim": str(at), "checks": [c]} for at, c in enumerate(claims)]})
    noise = {run.id: random.Random(run.id).gauss(0.6, 0.02) for run in runs(recipe)}
    fill(recipe, tmp_path, lambda run: noise[run.id])
    assert assert_as_the_report(recipe, tmp_path, "tested") == len(claims)


def test_what_of_a_claim_is_not_planned_is_said() -> None:
    claims = planned(load("effectiveness/table1")).claims
    assert [claim.reasons for claim in claims] == [
        ("best of deviations: no valid test",),
        (),
        ("how many of deviations: no valid test",),
        ("better of deviations: no valid test",),
        ("rank correlation: no valid test",),
    ]
    assert [claim.hardest is None for claim in claims] == [False, False, False, True, True]
    assert planned(load("spafit/table2")).claims[2].reasons == ("9 of 9 comparisons: a maximum has no deviation",)
    narrowed = load("transferability/table1")
    narrowed = narrowed.model_copy(update={"strategies": narrowed.strategies[:4], "seeds": [0]})
    last = planned(narrowed).claims[5]  # random parameters beat the frozen model
    assert last.hardest is None
    assert last.reasons[0].startswith("unknown strategy of a claim 'frozen'")


def test_the_hours_are_those_of_so_many_seeds_on_both_sides(tmp_path: Path) -> None:
    recipe = small(tasks=["rte", "cola"], seeds=4, table={"reference": "full"})
    claim = {"claim": "-", "checks": [{"kind": "better", "strategies": "layernorm", "than": "full"}]}
    recipe = recipe.model_copy(update={"claims": [claim]})
    fill(recipe, tmp_path, lambda run: 0.5 + (run.seed / 100 if run.strategy == "full" else 0.0))  # 36 s a run
    plan = planned(recipe, tmp_path)
    for each in plan.pairs:
        assert each.seeds is not None
        assert each.seeds.n is not None
        assert each.seeds.hours == pytest.approx(each.seeds.n * 2 * 2 * 36 / 3600)  # two sides of two rates
    (judged,) = plan.claims
    assert judged.hardest is not None
    assert judged.hardest.seeds is not None
    assert judged.hardest.seeds.n is not None
    # All of the claim's runs, not those of its hardest pair alone.
    assert judged.hardest.seeds.hours == pytest.approx(judged.hardest.seeds.n * 2 * 2 * 2 * 36 / 3600)
    assert judged.hardest.seeds.n > max(p.seeds.n or 0 for p in plan.pairs if p.seeds)


def test_collapsed_runs_among_the_recorded_ones_are_counted(tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], learning_rates=[1e-3], table={"reference": "full"})
    for run in runs(recipe):
        collapsed = run.strategy == "layernorm" and run.seed == 1
        write(tmp_path, run, {"validation": {"accuracy": 0.5 + run.seed**2 / 50 * collapsed, "collapsed": collapsed}})
    (only,) = planned(recipe, tmp_path).pairs
    assert (only.collapsed, only.reason) == (1, "")
    assert {pair.collapsed for pair in planned(load("transferability/table4")).pairs} == {0}


def test_a_recipe_that_compares_nothing_has_no_plan() -> None:
    assert planned(small(tasks=["rte"])) == SeedPlan((), ())
