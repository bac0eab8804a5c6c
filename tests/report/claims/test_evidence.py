"""The numbers that claims see: rounded as printed, copied ones left out, one run without a deviation."""

from pathlib import Path
from typing import Any

from peftcli.report.claims import evidence, gathering, judging
from peftcli.report.claims.evidence import Evidence, Number
from tests.report.claims.cases import BETTER, claim_of, empty, judge
from tests.written_records import fill, load, small


def test_copied_cells_take_no_place_among_all() -> None:
    check = {"kind": "top", "strategy": "layernorm", "places": 4, "at_least": 1, "on": "qnli"}
    claim = claim_of(check)
    found = judging.judge(
        load("transferability/table1"), claim, gathering.gather_all([empty("transferability/table1")])
    )
    assert found.printed_findings[0].steps[0].text == "QNLI: LayerNorms 89.4, place 4 of 8"


def test_one_seed_is_not_enough_for_a_deviation(tmp_path: Path) -> None:
    made = small(tasks=["rte"], learning_rates=[1e-3], seeds=1, table={"ddof": 0})
    fill(made, tmp_path, lambda run: 0.5 + (run.strategy == "layernorm") / 10)
    assert judge(tmp_path, made, BETTER).verdict == "holds"
    assert judge(tmp_path, made, BETTER | {"measure": "std"}).verdict == "not enough runs"
    welch = {"kind": "welch", "strategies": "layernorm", "than": "full", "is": "higher"}
    assert judge(tmp_path, made, welch).verdict == "not enough runs"


def number(mean: float | None, std: float | None, **changes: Any) -> Number:
    words = {"label": "a", "column_label": "RTE", "strategy": "a", "options": {}, "setting": {}, "column": "rte"}
    numbers = {"metric": "accuracy", "mean": mean, "std": std, "n": 3, "ddof": 1, "values": {}, "decimals": 1}
    return Number(**{"table": 0, "row": 0, **words, **numbers, **changes})


def test_the_best_has_the_highest_mean_or_the_lowest_deviation_as_printed() -> None:
    low, high = number(70.04, 0.5), number(70.06, 2.0)
    assert (low.get("mean"), high.get("mean")) == (70.0, 70.1)
    assert evidence.best([low, high], "mean") is high
    assert evidence.best([low, high], "std") is low
    assert evidence.goodness(high, "std") == -2.0
    # Equal as printed: the first stands for both.
    assert evidence.best([low, number(70.01, 0.1)], "mean") is low
    # A row that is open could turn out the best, whatever the others are.
    waiting = number(None, None)
    assert evidence.best([high, waiting], "mean") is waiting
    assert waiting.undecided("mean") == "not enough runs"
    assert number(None, None, values=None).undecided("mean") == "cannot be judged"
    assert evidence.best([], "mean") is None


def test_a_learning_rate_tells_no_columns_apart_but_another_setting_does() -> None:
    slow, fast = (number(50.0, 1.0, setting={"learning_rate": rate}) for rate in (1e-4, 1e-3))
    few = number(50.0, 1.0, setting={"train_size": 100, "learning_rate": 1e-3}, column_label="RTE 100")
    numbers = Evidence((slow, fast, few))
    columns = numbers.columns(None)
    assert columns == [("rte", "accuracy", ()), ("rte", "accuracy", (("train_size", 100),))]
    assert [numbers.rows(["a"], key) for key in columns] == [[slow, fast], [few]]
    assert [numbers.name(key) for key in columns] == ["RTE", "RTE 100"]


def at_rate(rate: float, mean: float, held_out: float | None, **changes: Any) -> Number:
    return number(mean, 1.0, setting={"learning_rate": rate}, held_out=held_out, **changes)


def test_of_a_strategy_s_rates_the_one_that_held_out_examples_choose_counts() -> None:
    low, high = at_rate(1e-4, 70.0, 60.0), at_rate(1e-3, 65.0, 61.0)
    assert evidence.best([low, high], "mean") is high, "though 70.0 is what the paper would have shown"
    assert evidence.best([low, at_rate(1e-3, 65.0, 60.0)], "mean") is low, "the lower rate wins a tie"
    # Between strategies, or rows of other options, the number that is shown decides.
    other = at_rate(1e-3, 66.0, 10.0, strategy="b")
    assert evidence.best([low, high, other], "mean") is other
    sparse = at_rate(1e-3, 66.0, 10.0, options={"layers": [1]})
    assert evidence.best([low, high, sparse], "mean") is sparse
    # Printed numbers have no held-out examples, and where a rate lacks them rates cannot be compared.
    assert evidence.best([at_rate(1e-4, 70.0, None), at_rate(1e-3, 65.0, None)], "mean").get("mean") == 70.0  # type: ignore[union-attr]
    assert evidence.at_chosen_rates([low, at_rate(1e-3, 65.0, None)])[1].held_out is None
    # An open row could turn out the best.
    waiting = at_rate(1e-2, 99.0, 99.0, trouble="not enough runs")
    assert evidence.at_chosen_rates([low, high, waiting]) == [low, high, waiting]
    assert Evidence((low, high, other)).contenders(None, low.key) == [high, other]
