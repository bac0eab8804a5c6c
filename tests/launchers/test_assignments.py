"""Cohorts are divided by what they cost, and an assignment reads back as it was written."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftcli.errors import UserError
from peftcli.experiment import notation, plan
from peftcli.launchers import assignments
from peftcli.launchers.assignments import Assignment
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import written_records


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=30), st.integers(1, 8))
def test_shares_hold_every_cohort_once_and_none_is_far_behind(costs, count):
    found = assignments.divide(list(range(len(costs))), count, lambda own: costs[own])
    assert sorted(own for share in found for own in share) == list(range(len(costs)))
    assert len(found) == min(count, len(costs))
    for share in found:
        assert [costs[own] for own in share] == sorted((costs[own] for own in share), reverse=True)
    loads = [sum(costs[own] for own in share) for share in found]
    best = max(max(costs), sum(costs) / count)
    assert max(loads) <= (4 / 3 - 1 / (3 * count)) * best * (1 + 1e-9) or max(loads) <= best + max(
        costs
    )  # Graham, 1969


def test_longest_first():
    costs = {"a": 3.0, "b": 7.0, "c": 5.0, "d": 4.0}
    assert assignments.divide(list(costs), 2, costs.__getitem__) == [("b", "a"), ("c", "d")]


def cost(name: str, **changes: object) -> float:
    strategy = notation.parse_strategy(name)
    runs = written_records.runs(
        written_records.small(strategies=[strategy], tasks=["rte"], learning_rates=[1e-4], seeds=[0], **changes)
    )
    return assignments.cost("minilm", tuple(runs))


def test_cost_counts_epochs_tokens_and_what_moves():
    assert cost("frozen") < cost("layernorm") < cost("full")
    assert cost("layernorm", training={"epochs": 6}) == pytest.approx(2 * cost("layernorm", training={"epochs": 3}))
    long = cost("full", training={"max_length": 256}) / cost("full", training={"max_length": 128})
    assert long == pytest.approx(2)
    few = cost("full", training={"max_train_samples": 160}) / cost("full")
    assert few < 0.2


def test_an_assignment_reads_back_and_a_damaged_one_is_refused(tmp_path):
    runs = written_records.runs(written_records.small())
    unit = WorkUnit(tuple(plan.cohorts(runs, 4)), frozenset(run.id for run in runs[:5]), "name")
    settings = SweepSettings(
        "minilm", tmp_path, checkpoint_seconds=5.0, own_data={"mine": tmp_path / "mine.csv"}, track=("mlflow", "wandb"),
        recipe="demo",
    )  # fmt: skip
    whole = Assignment(unit, settings, True, 4, 2)
    file = tmp_path / "share.json"
    file.write_text(assignments.encode(whole))
    assert assignments.decode(file) == whole
    for earlier, tracked in ('"tensorboard"', ("tensorboard",)), ("null", ()):  # as versions before wrote it
        text = re.sub(r'"track": \[.*?\]', f'"track": {earlier}', assignments.encode(whole), flags=re.DOTALL)
        file.write_text(re.sub(r'"recipe": "demo",\s*', "", text))
        assert assignments.decode(file).settings == replace(settings, track=tracked, recipe="train")
    file.write_text(file.read_text().replace('"wanted"', '"wnated"'))
    with pytest.raises(UserError, match="not an assignment"):
        assignments.decode(file)
