"""A model as a strategy sees it: names by role, layer and kind, and counts."""

import pytest
import torch
from transformers.pytorch_utils import Conv1D

from peftcli.errors import UserError
from peftcli.models.anatomy import Anatomy, anatomy
from peftcli.models.heads import parameters
from peftcli.models.published import PUBLISHED_SIZES
from peftcli.models.tensors import LAYERNORMS
from tests import backbones


@pytest.fixture(scope="module")
def bert() -> Anatomy:
    config = PUBLISHED_SIZES["bert-base-uncased"]
    return anatomy(config, parameters(config, "pair", 2, "stock"), pooler=True)


def test_counts_leave_the_head_out(bert: Anatomy) -> None:
    assert (bert.layers, bert.total, bert.head_total) == (12, 109_482_240, 2 * 768 + 2)
    assert bert.size(bert.names(LAYERNORMS)) == 12 * 4 * 768
    assert bert.size(bert.over("all")) == bert.total
    embeddings = (30_522 + 512 + 2 + 2) * 768  # words, positions, token types, and a LayerNorm
    assert bert.size(bert.over("encoder")) == bert.total - embeddings - (768 * 768 + 768)


def test_names_are_chosen_by_role_layer_and_kind(bert: Anatomy) -> None:
    assert bert.names(("value",), [3], "bias") == ("encoder.layer.2.attention.self.value.bias",)
    assert bert.modules(("query",), [1]) == ("encoder.layer.0.attention.self.query",)
    assert bert.by_name["head.out.weight"].shape == (2, 768)
    assert not any(name.startswith("head.") for name in bert.names())


def test_a_layer_or_a_role_that_is_not_there_is_refused(bert: Anatomy) -> None:
    with pytest.raises(UserError, match="layer 13 does not exist: the nearest is 12; layers are 1 to 12"):
        bert.names(LAYERNORMS, [13])
    with pytest.raises(UserError, match="no weight position_key to train"):
        bert.modules(("position_key",))


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_the_weights_of_linear_layers_are_those_that_transformers_builds(name: str) -> None:
    model = backbones.classifier(name).base_model
    kinds = (torch.nn.Linear, Conv1D)
    linear = {f"{module}.weight" for module, layer in model.named_modules() if isinstance(layer, kinds)}
    config = model.config.to_dict()
    pooler = getattr(model, "pooler", None) is not None
    assert set(anatomy(config, (), pooler).linear_weights()) == linear


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_sublayers_and_layers_end_where_transformers_has_them_end(name: str) -> None:
    """What an end reads is what its linear layer puts out; and what a layer's last module puts out is read by the next."""
    model = backbones.classifier(name).base_model
    row = anatomy(model.config.to_dict(), (), pooler=False)
    outputs = ("attention_output", "output")
    linear, ends, layers = row.modules(outputs), row.sublayer_ends(outputs), row.layer_ends()
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    kinds = (torch.nn.Dropout, torch.nn.Identity)
    behind = {n for n, m in model.named_modules() if isinstance(m, kinds) or type(m).__name__ == "Gemma3RMSNorm"}
    for module in {*linear, *ends, *layers, *behind}:
        model.get_submodule(module).register_forward_hook(
            lambda _, inputs, result, module=module: seen.update({module: (inputs[0], result)})
        )
    hidden = model(input_ids=torch.randint(3, 61, (2, 9))).last_hidden_state
    assert len(linear) == len(ends) == 2 * row.layers == 2 * len(layers)
    for module, end in zip(linear, ends, strict=True):
        readers = {other for other in behind & set(seen) if seen[other][0] is seen[module][1]}
        assert readers == {end} - {module}
    last = seen[layers[-1]][1]
    final = [
        module for module, _ in model.named_children() if module in ("final_norm", "ln_f", "final_layer_norm", "norm")
    ]
    last = model.get_submodule(final[0])(last) if final else last
    if "convolution" not in name:  # which stands beside the first layer of three
        torch.testing.assert_close(last, hidden)
