"""Checks against the majority class: near it, above it, and runs that never learned, on records made for the test."""

from pathlib import Path

from peftcli.experiment.recipe import Recipe
from tests.report.claims.cases import judge
from tests.written_records import fill, runs, small, unsynced, write

# The best constant answer on RTE scores 52.7 % (146 of the 277 examples of its development set).
NEVER = {"kind": "never learns", "strategies": "layernorm", "points": 10}


def rte(seeds: int = 2) -> Recipe:
    return small(
        tasks=["rte"], seeds=seeds, table={"rows": ["strategy", "learning_rate"], "select": "every learning rate"}
    )


def test_above_and_near_are_in_deviations_of_ones_own(tmp_path: Path) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3], seeds=2, table={"ddof": 0})
    # Means of 60.0 with deviations of 2.0 and 4.0: 7.3 above 52.7 is 3.6 and 1.8 deviations.
    fill(made, tmp_path, lambda run: 0.6 + (0.02 if run.strategy == "full" else 0.04) * (1 if run.seed else -1))
    for strategy, above in (("full", True), ("layernorm", False)):
        for kind in ("above majority", "near majority"):
            found = judge(tmp_path, made, {"kind": kind, "strategies": strategy, "deviations": 2})
            assert found.verdict == ("holds" if above == (kind == "above majority") else "does not hold")
            assert found.findings[0].steps[0].text.startswith(f"rte: {strategy} 60.0±")
            assert found.findings[0].steps[0].text.endswith("majority class 52.7")


def test_one_run_that_learned_decides(tmp_path: Path) -> None:
    made = rte()
    fill(made, tmp_path, lambda run: 0.62)
    found = judge(tmp_path, made, NEVER)
    assert found.verdict == "holds", "62.0 is 9.3 above 52.7"
    texts = [step.text for step in found.findings[0].steps]
    assert texts == [f"rte: layernorm {rate} highest of 2 62.0, majority class 52.7" for rate in ("1e-4", "1e-3")]
    # The mean of 58 and 64 is 8.3 above, but one run of the two is 11.3 above.
    fill(made, tmp_path, lambda run: 0.64 if run.seed == 1 and run.learning_rate == 1e-3 else 0.58)
    found = judge(tmp_path, made, NEVER)
    assert [step.holds for step in found.findings[0].steps] == [True, False]
    assert judge(tmp_path, made, NEVER | {"points": 11.4}).verdict == "holds"


def test_rates_that_are_not_finished_are_named_and_diverged_runs_count(tmp_path: Path) -> None:
    made = rte()
    fill(made, tmp_path, lambda run: 0.5)
    low, high = (runs(made, strategy="layernorm", learning_rate=rate) for rate in (1e-4, 1e-3))
    with unsynced():
        for run in high:
            write(tmp_path, run, {}, "diverged")
    found = judge(tmp_path, made, NEVER).findings[0]
    assert (found.verdict, found.rule) == ("holds", "no run scores more than 10 points above the majority class")
    assert found.steps[1].text == "rte: layernorm 1e-3 2 diverged, majority class 52.7"
    next(tmp_path.glob(f"rte/layernorm-{low[0].id}.json")).unlink()
    found = judge(tmp_path, made, NEVER).findings[0]
    assert found.verdict == "not enough runs"
    assert found.rule.endswith("; not finished: layernorm 1e-4 on rte")
    with unsynced():
        write(tmp_path, low[1], {"validation": {"accuracy": 0.7, "loss": 0.5}})
    assert judge(tmp_path, made, NEVER).verdict == "does not hold", "the other run of this rate could not change that"
