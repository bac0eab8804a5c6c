"""RMSNorms with a run dimension are transformers' own, run by run, also where there are as many tokens as runs."""

from typing import Any

import pytest
import torch
from torch import Tensor

from peftcli.engine.accepting import accept_runs
from peftcli.engine.normalizing import RunOffsetRMSNorm, RunRMSNorm

WIDTH = 6


def stock(kind: str) -> Any:
    """transformers' norm, its gain away from where it starts."""
    from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    torch.manual_seed(3)
    norm = {"llama": LlamaRMSNorm, "gemma": Gemma3RMSNorm}[kind](WIDTH, eps=1e-5)
    with torch.no_grad():
        norm.weight.add_(torch.randn(WIDTH) * 0.3)
    return norm


@pytest.mark.parametrize("shape", [(3, 3, WIDTH), (3, 3, 3, WIDTH), (3, 5, 2, WIDTH), (1, 4, WIDTH)])
@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_each_run_has_the_norm_of_its_own_gain(kind: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, gains = torch.randn(shape), torch.randn(shape[0], WIDTH)
    ours = accept_runs(stock(kind))
    assert type(ours) is {"llama": RunRMSNorm, "gemma": RunOffsetRMSNorm}[kind]
    together = torch.func.functional_call(ours, {"weight": gains}, x)
    for run in range(len(x)):
        alone = torch.func.functional_call(stock(kind), {"weight": gains[run]}, x[run])
        torch.testing.assert_close(together[run], alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours(x), stock(kind)(x), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["llama", "gemma"])
def test_in_bfloat16_a_trained_gain_is_not_rounded(kind: str) -> None:
    """A gain is moved by less than half the gap to bfloat16's next number, and the norm's output still follows it."""
    ours, x = accept_runs(stock(kind)), torch.randn(2, 4, WIDTH, dtype=torch.bfloat16) * 64

    def at(gain: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(ours, {"weight": gain}, x)
        return result

    base = torch.ones(2, WIDTH)
    assert at(base).dtype == torch.bfloat16
    assert not torch.equal(at(base), at(base + 2**-9))
    frozen = torch.func.functional_call(stock(kind), {"weight": base[0].bfloat16()}, x)
    assert torch.equal(at(base[0].bfloat16()), frozen)
