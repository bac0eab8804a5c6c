"""Layers are taken over by their exact class; one with weights that is not known is refused by its name."""

import pytest
import torch
from torch import nn

from peftcli.engine.accepting import accept_runs, check_accepted, drop_attention
from peftcli.engine.dropout import RunDropout, attention_dropout
from peftcli.engine.modules import RunTransposedLinear
from peftcli.errors import UserError
from tests import backbones


class Own(nn.Linear):
    """A layer that is nearly one that is known."""


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_every_layer_of_every_family_is_known(name: str) -> None:
    model = backbones.classifier(name).base_model
    check_accepted(accept_runs(model), name)


def test_a_layer_that_is_not_known_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2), Own(2, 2))
    with pytest.raises(UserError, match="model 'some/model': peftcli does not know its Own"):
        check_accepted(accept_runs(model), "some/model")


def test_a_transposed_layer_multiplies_as_transformers_does() -> None:
    from transformers.pytorch_utils import Conv1D

    torch.manual_seed(0)
    plain, x = Conv1D(5, 4), torch.randn(3, 3, 4)
    plain.bias.data.normal_()
    expected = plain(x)
    weights, biases = torch.randn(3, 4, 5), torch.randn(3, 5)
    alone = [torch.func.functional_call(plain, {"weight": weights[r], "bias": biases[r]}, x[r]) for r in range(3)]
    ours = accept_runs(plain)
    assert type(ours) is RunTransposedLinear
    torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-6)
    together = torch.func.functional_call(ours, {"weight": weights, "bias": biases}, x)
    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "attention"), [("llama", "layers.0.self_attn"), ("gpt_neox", "layers.0.attention")])
def test_a_probability_of_attention_s_dropout_becomes_a_dropout(name: str, attention: str) -> None:
    model = accept_runs(backbones.classifier(name).base_model)
    drop_attention(model)
    dropout = attention_dropout(model.get_submodule(attention))
    assert isinstance(dropout, RunDropout)
    assert dropout.p == 0.1
