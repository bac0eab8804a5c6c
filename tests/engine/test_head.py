"""A head's logits are those of its layers one after another, written out, for every style it may have."""

import pytest
import torch
from torch.nn import functional as F

from peftcli.engine.accepting import accept_runs
from peftcli.engine.head import Head
from peftcli.models import heads


@pytest.mark.parametrize("style", ["stock", "linear", "pooled_dense"])
@pytest.mark.parametrize("family", ["bert", "roberta", "llama", "modernbert"])
def test_logits_are_those_of_the_layers_written_out(family: str, style: heads.Style) -> None:
    config = {"model_type": family, "hidden_size": 6, "pad_token_id": 1, "classifier_activation": "gelu"}
    parameters = heads.parameters(config, "pair", 3, style)
    activation = heads.inner_activation(config, "pair", style)
    head = accept_runs(Head(parameters, activation, heads.dropouts(config, "pair", style), 1e-5))
    assert {f"head.{name}": tuple(p.shape) for name, p in head.named_parameters()} == {
        p.name: p.shape for p in parameters
    }
    torch.manual_seed(0)
    values = {p.name.removeprefix("head."): torch.randn(2, *p.shape) for p in parameters}  # two runs
    x = torch.randn(2, 4, 6)
    logits = torch.func.functional_call(head, values, x)
    for run in range(2):
        own = {name: value[run] for name, value in values.items()}
        y = x[run]
        if activation:
            y = F.linear(y, own["dense.weight"], own.get("dense.bias"))
            y = {"tanh": torch.tanh, "gelu": F.gelu}[activation](y)
        if "norm.weight" in own:
            y = F.layer_norm(y, (6,), own["norm.weight"], own.get("norm.bias"), 1e-5)
        expected = F.linear(y, own["out.weight"], own.get("out.bias"))
        torch.testing.assert_close(logits[run], expected, rtol=0, atol=1e-5)
    assert ("out.bias" in values) == (family != "llama" or style != "stock")
