"""Which runs train together: a fixed number on a processor, and on a GPU what was counted to fit, pinned with the sweep."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from peftcli.experiment import cohort_size
from peftcli.experiment.cohort_size import Footprint, Pin
from peftcli.runner import grouping
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import folders, written_records

RUNS = written_records.runs(
    written_records.small(tasks=["rte"], strategies=["layernorm", "bitfit"], learning_rates=[1e-3], seeds=9)
)
GIGABYTE = 10**9


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The strategies whose memory was counted; a run of layernorm takes 2 GB, of bitfit 5, and 1 GB is shared."""
    names: list[str] = []

    def footprint(run: Any, settings: SweepSettings) -> Footprint:
        names.append(run.strategy)
        return Footprint(GIGABYTE, 2 * GIGABYTE if run.strategy == "layernorm" else 5 * GIGABYTE)

    monkeypatch.setattr(grouping, "footprint", footprint)
    return names


def sizes(cohorts: Any) -> dict[str, list[int]]:
    by_strategy: dict[str, list[int]] = {}
    for cohort in cohorts:
        assert len({cohort_size.kind(run) for run in cohort}) == 1
        by_strategy.setdefault(cohort[0].strategy, []).append(len(cohort))
    return by_strategy


@pytest.mark.parametrize(("size", "largest"), [(1, 1), (2, 2), (100, 9)])
def test_cohorts_are_as_large_as_asked_and_hold_every_run_once(size: int, largest: int, tmp_path: Path) -> None:
    cohorts = grouping.cohorts(RUNS, SweepSettings("minilm", tmp_path, device="cpu"), size)
    assert max(map(len, cohorts)) == largest
    assert sorted(run.id for cohort in cohorts for run in cohort) == sorted(run.id for run in RUNS)
    assert cohort_size.pinned(tmp_path, cohort_size.sweep_id(RUNS)) is None  # what was asked for is not pinned


def test_on_a_processor_eight_train_together_and_that_is_pinned(tmp_path: Path, counted: list[str]) -> None:
    cohorts = grouping.cohorts(RUNS, SweepSettings("minilm", tmp_path, device="cpu"), None)
    assert sizes(cohorts) == {"layernorm": [8, 1], "bitfit": [8, 1]}
    assert cohort_size.pinned(tmp_path, cohort_size.sweep_id(RUNS)) == Pin(8)
    assert counted == []


def test_on_a_gpu_as_many_of_a_kind_as_its_memory_holds(tmp_path: Path, counted: list[str]) -> None:
    settings = SweepSettings("minilm", tmp_path, device="cuda", gpu_memory=16 * GIGABYTE)
    cohorts = grouping.cohorts(RUNS, settings, None)
    assert sizes(cohorts) == {"layernorm": [4, 4, 1], "bitfit": [2, 2, 2, 2, 1]}  # of 14.4 GB
    assert sorted(counted) == ["bitfit", "layernorm"]
    counted.clear()
    # What is pinned stays, on whatever it is started again.
    assert sizes(grouping.cohorts(RUNS, replace(settings, gpu_memory=80 * GIGABYTE), None)) == sizes(cohorts)
    assert counted == []


def test_a_task_whose_data_are_not_there_is_not_counted(tmp_path: Path, counted: list[str]) -> None:
    settings = SweepSettings("minilm", tmp_path, device="cuda", gpu_memory=16 * GIGABYTE)
    wanted = {run.id for run in RUNS if run.strategy == "bitfit"}
    assert sizes(grouping.cohorts(RUNS, settings, None, wanted))["bitfit"] == [2, 2, 2, 2, 1]
    assert counted == ["bitfit"]


def test_a_login_node_leaves_the_size_to_the_first_job(tmp_path: Path, counted: list[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    settings = SweepSettings("minilm", tmp_path, device="cuda")
    cohorts = grouping.cohorts(RUNS, settings, None)
    assert sizes(cohorts) == {"layernorm": [9], "bitfit": [9]}
    name = cohort_size.sweep_id(RUNS)
    unit = WorkUnit(tuple(cohorts), frozenset(run.id for run in RUNS), name)
    assert counted == []
    # On the job's node:
    monkeypatch.setattr(grouping, "gpu_memory", lambda settings: 24 * GIGABYTE)
    settled = grouping.settle(unit, settings)
    assert sizes(settled.cohorts) == {"layernorm": [8, 1], "bitfit": [4, 4, 1]}  # of 21.6 GB
    assert settled.wanted == unit.wanted
    pinned = cohort_size.pinned(tmp_path, name)
    assert pinned is not None
    assert (pinned.memory, sorted(pinned.sizes.values())) == (24 * GIGABYTE, [4, 8])
    # Another job on another kind of GPU keeps to it, and so does one that starts after memory ran out.
    monkeypatch.setattr(grouping, "gpu_memory", lambda settings: 80 * GIGABYTE)
    assert grouping.settle(unit, settings) == settled
    cohort_size.pin(tmp_path, name, replace(pinned, cohort=2))
    assert max(map(len, grouping.settle(unit, settings).cohorts)) == 2


def test_a_unit_without_a_sweep_stays_as_it_is(tmp_path: Path) -> None:
    unit = WorkUnit((tuple(RUNS[:5]),), frozenset({RUNS[0].id}))
    assert grouping.settle(unit, SweepSettings("minilm", tmp_path, device="cpu")) == unit


@pytest.mark.parametrize(("asked", "expected"), [("cuda", True), ("cpu", False)])
def test_a_device_that_is_named_is_believed_where_it_is_not(
    asked: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: not expected)  # a login node has not what its jobs have
    assert grouping.on_gpu(SweepSettings("minilm", tmp_path, device=asked)) is expected


def test_a_model_stored_in_bfloat16_is_counted_as_it_is_kept(tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    settings = SweepSettings(str(folder), tmp_path / "results")
    (run,) = written_records.runs(
        written_records.small(
            tasks=["demo"], strategies=["layernorm"], learning_rates=[1e-3], seeds=1, model=str(folder)
        )
    )
    narrow, wide = (run.model_copy(update={"protocol": run.protocol.model_copy(update={"precision": precision})})
                    for precision in ("bfloat16", "float32"))  # fmt: skip
    before = [grouping.footprint(of, settings).shared for of in (narrow, wide)]
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, folder / "model.safetensors")
    # What was counted of the file in float32 does not stand for this one; where it computes in float32 it does.
    after = [grouping.footprint(of, settings).shared for of in (narrow, wide)]
    assert after[0] < before[0]
    assert after[1] == before[1]
    assert len(list((tmp_path / "results/.sweeps/footprints").iterdir())) == 3
    # Of its config alone, as on a login node, it is counted as ever.
    (folder / "model.safetensors").unlink()
    assert grouping.footprint(narrow, settings).shared == before[0]
