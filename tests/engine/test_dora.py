"""A layer with magnitudes computes what the peft package's does: outputs and gradients, with dropout, run by run."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from peftcli.engine.accepting import accept_runs
from peftcli.engine.backbone import narrowed
from peftcli.engine.dora import DoraLinear, DoraTransposedLinear, row_norms, turned_norms
from peftcli.engine.dropout import RunDropout
from tests import backbones, tiny

RUNS, TOKENS, INPUTS, OUTPUTS, RANK = 3, 3, 10, 7, 2  # as many tokens as runs: neither is to be taken for the other
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


class Recorded(nn.Module):
    """A dropout that drops what another one dropped."""

    def __init__(self, multipliers: Tensor) -> None:
        super().__init__()
        self.multipliers = multipliers

    def forward(self, x: Tensor) -> Tensor:
        return x * self.multipliers


def base(dtype: torch.dtype, kind: str) -> Any:
    """A layer, one without a bias, or GPT-2's with its weight [in, out]."""
    torch.manual_seed(0)
    if kind == "transposed":
        layer = Conv1D(OUTPUTS, INPUTS)
        nn.init.normal_(layer.weight, std=0.3)
        nn.init.normal_(layer.bias)
        return layer.to(dtype)
    return nn.Linear(INPUTS, OUTPUTS, bias=kind != "without bias", dtype=dtype)


def leaves(dtype: torch.dtype) -> dict[str, Tensor]:
    """What three runs train of a layer, far from where it starts."""
    torch.manual_seed(1)
    shapes = {"lora_a": (RANK, INPUTS), "lora_b": (OUTPUTS, RANK), "lora_magnitude": (OUTPUTS,)}
    values = {name: 0.3 * torch.randn(RUNS, *shape, dtype=dtype) for name, shape in shapes.items()}
    values["lora_magnitude"] = values["lora_magnitude"].abs() + 0.5
    return {name: value.requires_grad_() for name, value in values.items()}


def ours(layer: Any, scaling: float, dropout: float, values: dict[str, Tensor]) -> Any:
    holder = accept_runs(nn.Sequential(layer))
    module: Any = holder[0]
    module.__class__ = DoraTransposedLinear if isinstance(layer, Conv1D) else DoraLinear
    module.scaling, module.lora_dropout = scaling, RunDropout(dropout)
    for name, value in values.items():
        module.register_buffer(name, value, persistent=False)
    return module


def theirs(dtype: torch.dtype, kind: str, values: dict[str, Tensor], run: int, rslora: bool) -> Any:
    """The peft package's layer with one run's values."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=RANK,
        lora_alpha=6,
        target_modules=["layer"],
        use_dora=True,
        use_rslora=rslora,
        lora_dropout=0.1,
        fan_in_fan_out=kind == "transposed",
    )
    model = get_peft_model(nn.ModuleDict({"layer": base(dtype, kind)}), config).to(dtype)  # type: ignore[arg-type]
    layer: Any = model.base_model.model["layer"]
    layer.lora_A["default"].weight.data = values["lora_a"][run].detach().clone()
    layer.lora_B["default"].weight.data = values["lora_b"][run].detach().clone()
    layer.lora_magnitude_vector["default"].weight.data = values["lora_magnitude"][run].detach().clone()
    return layer


@pytest.mark.parametrize("kind", ["with bias", "without bias", "transposed"])
@pytest.mark.parametrize("rslora", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_outputs_and_gradients_are_those_of_peft(dtype: torch.dtype, dropout: float, rslora: bool, kind: str) -> None:
    values, source = leaves(dtype), torch.Generator().manual_seed(2)
    scaling = 6 / RANK**0.5 if rslora else 6 / RANK
    module = ours(base(dtype, kind), scaling, dropout, values)
    x = torch.randn(RUNS, TOKENS, INPUTS, dtype=dtype, generator=source).requires_grad_()
    weights = torch.randn(RUNS, TOKENS, OUTPUTS, dtype=dtype, generator=source)
    module.lora_dropout.key = torch.arange(1, RUNS * TOKENS + 1, dtype=torch.int32).view(RUNS, TOKENS) * 7919
    multipliers = module.lora_dropout(torch.ones(RUNS, TOKENS, INPUTS, dtype=dtype))
    assert bool((multipliers == 0).any()) == (dropout > 0)
    result = module(x)
    (result * weights).sum().backward()
    for run in range(RUNS):
        layer = theirs(dtype, kind, values, run, rslora).train()
        layer.lora_dropout["default"] = Recorded(multipliers[run]) if dropout else nn.Identity()
        read = x.detach()[run].clone().requires_grad_()
        expected = layer(read)
        (expected * weights[run]).sum().backward()
        close = {"rtol": 0, "atol": TOLERANCE[dtype]}
        torch.testing.assert_close(result[run], expected, **close)
        assert x.grad is not None
        torch.testing.assert_close(x.grad[run], read.grad, **close)
        parts = {"lora_a": layer.lora_A, "lora_b": layer.lora_B, "lora_magnitude": layer.lora_magnitude_vector}
        for name, part in parts.items():
            gradient = values[name].grad
            assert gradient is not None
            torch.testing.assert_close(gradient[run], part["default"].weight.grad, **close, msg=name)


def test_norms_are_those_of_the_whole_matrices() -> None:
    values, weight = leaves(torch.float64), base(torch.float64, "without bias").weight
    a, b = values["lora_a"], values["lora_b"]
    expected = (weight + b @ a).norm(dim=-1)
    torch.testing.assert_close(turned_norms(weight, a, b), expected, rtol=0, atol=1e-12)
    own = torch.stack([weight, 2 * weight, -weight])  # a weight of each run's own
    torch.testing.assert_close(turned_norms(own, a, b), (own + b @ a).norm(dim=-1), rtol=0, atol=1e-12)
    assert not turned_norms(weight, a, b).requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_it_starts_as_the_frozen_layer_to_the_bit(dtype: torch.dtype) -> None:
    """Also where the weight has a row of zeros, which can learn still, and in bfloat16, whose magnitudes are float32."""
    layer = base(dtype, "with bias")
    layer.weight.data[2] = 0
    magnitude = row_norms(layer.weight.detach())
    assert magnitude.dtype == torch.promote_types(dtype, torch.float32)
    plain = accept_runs(nn.Sequential(layer))
    x = torch.randn(RUNS, TOKENS, INPUTS).to(dtype)
    before = plain(x)
    zero = {
        "lora_a": torch.ones(RUNS, RANK, INPUTS).to(dtype),
        "lora_b": torch.zeros(RUNS, OUTPUTS, RANK).to(dtype).requires_grad_(),
        "lora_magnitude": magnitude.expand(RUNS, -1).clone().requires_grad_(),
    }
    after = ours(layer, 2.0, 0.0, zero)(x)
    assert torch.equal(after, before)
    after.float().sum().backward()
    for name in ("lora_magnitude", "lora_b"):
        gradient = zero[name].grad
        assert gradient is not None
        assert bool(gradient.isfinite().all())
    assert bool((gradient[:, 2] != 0).all())  # of B's row beside the zeros


@pytest.mark.parametrize(
    "family", ["deberta-v3", "albert", "gpt2", pytest.param("modernbert", marks=pytest.mark.whole)]
)
def test_a_cohort_equals_its_runs_alone_also_on_a_grid_in_shared_and_in_transposed_layers(family: str) -> None:
    model = backbones.backbone(backbones.classifier(family))
    targets = ["query_key_value" if family in ("modernbert", "gpt2") else "query", "output"]
    options = {"rank": 2, "dora": True, "dropout": 0.2, "targets": targets}
    settings = {"steps": 6, "dropout": 0.1, "epsilon": 1e-6}
    runs = [tiny.run("lora", rate, seed, options, **settings) for rate, seed in ((1e-3, 0), (3e-3, 1), (1e-2, 2))]
    tolerance = backbones.TOLERANCE[family]
    tiny.assert_as_alone(tiny.cohort(model, runs), lambda run: tiny.cohort(model, [run]), tolerance)


def test_magnitudes_move_in_bfloat16_as_in_float32() -> None:
    moves = []
    for dtype in (torch.float32, torch.bfloat16):
        model = narrowed(tiny.backbone("bert", dtype=torch.float32), dtype)
        run = tiny.run("lora", 1e-3, 0, {"rank": 2, "dora": True}, dropout=0.0, steps=40, schedule="constant")
        cohort = tiny.cohort(model, [run])
        start, end = (cohort.assembly.values(v) for v in (cohort.assembly.flat, tiny.trained(cohort).flat.detach()))
        moves.append(torch.cat([(end[n] - start[n]).flatten() for n in start if n.endswith("magnitude")]))
    assert float(moves[0].abs().mean()) > 0.01
    assert float((moves[0] - moves[1]).norm() / moves[0].norm()) < 0.05
