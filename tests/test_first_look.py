"""The first look at a GPU, tried on a processor: every part tells something, and what it tells is right."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from peftcli.engine import device
from peftcli.engine.cohort import Cohort, Loss
from peftcli.errors import UserError
from tests.benchmarks import first_look, limits, sameness, step_cost, trainer

CPU = torch.device("cpu")


def test_a_small_look_writes_every_part_into_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All parts but one strategy's are cut off here by their time: `main` goes through all of them, in order."""
    few = [
        (name, latest if name in ("facts", "strategy layernorm x3") else -1.0, look)
        for name, latest, look in first_look.parts(CPU, small=True)
    ]
    monkeypatch.setattr(first_look, "parts", lambda on, small: iter(few))
    first_look.main(["--small", "--device", "cpu", "--json", str(tmp_path / "look.json")])
    document = json.loads((tmp_path / "look.json").read_text())
    by_part = {entry["part"]: entry for entry in document["parts"]}
    assert [entry["part"] for entry in document["parts"]] == [name for name, _, _ in few]
    assert by_part["facts"]["precision"] == "float32"
    assert by_part["facts"]["device"] == "cpu"
    seen = by_part["strategy layernorm x3"]
    assert seen["float32"]["gap"] == 0.0
    assert seen["float32"]["repeats"]
    assert seen["float32"]["syncs"] is None
    assert 0 < seen["bfloat16"]["gap"] <= seen["bfloat16"]["allowed"]
    assert seen["bfloat16"]["repeats"]
    assert by_part["memory runs out"]["skipped"] == "begun by second -1 or not at all"


def test_on_a_processor_only_a_small_look_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        first_look.main(["--device", "cpu"])
    assert stopped.value.code == 2
    assert "--small" in capsys.readouterr().err


def test_a_part_that_fails_is_an_entry_with_its_error() -> None:
    def fails() -> first_look.Facts:
        raise UserError("no such GPU")

    entry = first_look.entry(("breaks", 1e9, fails), time.monotonic())
    assert entry["error"] == "UserError: no such GPU"
    assert any("test_first_look.py" in line for line in entry["where"])


def test_a_part_that_takes_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_look, "LATEST", 0.2)
    began = time.monotonic()
    entry = first_look.entry(("compiles", 1e9, lambda: time.sleep(60)), began)  # type: ignore[arg-type, return-value]
    assert entry["error"] == "TimeoutError: cut off 0.2 seconds after the start"
    assert time.monotonic() - began < 30
    time.sleep(0.3)  # and nothing is cut off later


def test_a_cohort_that_trains_otherwise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a loss that differs from one call to the next, neither the processor's numbers nor the same bits come back."""
    loss, calls = Cohort.loss, [0]

    def drifting(cohort: Cohort, *inputs: object) -> Loss:
        calls[0] += 1
        result = loss(cohort, *inputs)  # type: ignore[arg-type]
        return replace(result, task=result.task * (1 + calls[0] / 100))

    monkeypatch.setattr(Cohort, "loss", drifting)
    seen = sameness.of_strategy("layernorm", 1, CPU)["float32"]
    assert not seen["within"]
    assert not seen["repeats"]
    assert seen["gap"] > 0.03


def test_the_cost_of_a_step_is_its_time_its_launches_and_how_long_they_ran() -> None:
    x = torch.ones(64, 64)
    seen = step_cost.cost(lambda: x.mul(2).add_(1), CPU, 2)  # type: ignore[arg-type, return-value]
    by_name = {name: count for name, count, _ in seen["longest"]}
    assert by_name["aten::mul"] == by_name["aten::add_"] == 1
    assert seen["launches"] == sum(by_name.values())
    assert seen["ms"] > 0
    assert seen["busy_ms"] > 0


def test_spans_that_overlap_are_counted_once() -> None:
    assert step_cost.union([(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]) == 4.0
    assert step_cost.union([]) == 0.0


def test_a_step_stands_beside_the_stock_model_s() -> None:
    seen = step_cost.beside_stock("cola", "layernorm", 1, CPU, "minilm", small=True)
    assert seen["times_as_many_runs"] == round(seen["stock"]["ms"] / seen["ours"]["ms"], 2)
    assert seen["stock"]["launches"] > 100 < seen["ours"]["launches"]


def test_the_stock_model_runs_under_torch_s_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)  # put back what `prepare` leaves

    def settings() -> tuple[object, ...]:
        backends = torch.backends
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            backends.cudnn.allow_tf32,
            backends.cudnn.deterministic,
            backends.cuda.matmul.allow_bf16_reduced_precision_reduction,
        )

    torch_s = settings()
    assert torch_s == (False, "highest", True, False, True)
    with trainer.as_torch_comes():
        device.prepare(torch.device("cuda"), "bfloat16")  # settings alone, which need no GPU
        ours = settings()
        with trainer.as_torch_comes():
            assert settings() == torch_s
        assert settings() == ours == (True, "highest", False, True, False)
    assert settings() == torch_s


def test_a_group_of_one_adds_up() -> None:
    assert limits.group_of_one(CPU) == {"device": "cpu:0", "backend": "gloo", "sum": [2.0, 2.0, 2.0]}


def test_an_estimate_of_memory_holds_the_weights_at_least() -> None:
    seen = limits.memory_estimated("cola", "layernorm", 1, CPU, "minilm")
    assert seen["reserved_bytes"] is None
    assert 90_000_000 < seen["estimated_bytes"] < 2_000_000_000
