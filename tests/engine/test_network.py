"""Every family: tensors from numbers alone equal the real model's, logits and gradients equal the stock classifier's."""

from contextlib import nullcontext

import pytest
import torch

from tests import backbones


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_logits_and_gradients_equal_the_stock_classifier_s(name: str) -> None:
    model = backbones.classifier(name)
    network = backbones.network(model)
    parts, batch = backbones.batches(network, typed=True)
    own = {n: p.detach() for n, p in {**dict(network.weights), **backbones.head_tensors(name, model)}.items()}
    assert set(own) == set(network.anatomy.by_name)
    leaves = {n: torch.stack([t, t]).requires_grad_() for n, t in own.items()}  # each run its own copy of everything
    # ModernBERT turns its queries and keys in float32, by a function of transformers that both sides call.
    kept = backbones.KeepsPrecision() if name.startswith("modernbert") else nullcontext()
    with kept:
        logits = network.call(leaves, {}, batch)
        shared = network.call({n: t[None] for n, t in own.items() if n.startswith("head.")}, {}, batch)
    names = dict(model.named_parameters())
    ours = {n: f"{model.base_model_prefix}.{n}" for n in network.weights}
    ours |= {n: next(k for k, p in names.items() if p is t) for n, t in backbones.head_tensors(name, model).items()}
    for run, (examples, chosen) in enumerate(parts):
        with kept:
            theirs = model(**backbones.padded_inputs(model, examples, chosen)).logits
        torch.testing.assert_close(logits[run, : len(chosen)], theirs, rtol=0, atol=1e-9)
        torch.testing.assert_close(shared[run, : len(chosen)], theirs, rtol=0, atol=1e-9)
        weights = torch.linspace(-1, 1, theirs.numel(), dtype=theirs.dtype).view_as(theirs)
        wanted = torch.autograd.grad((theirs * weights).sum(), list(names.values()), allow_unused=True)
        stock = dict(zip(names, wanted, strict=True))
        found = torch.autograd.grad(
            (logits[run, : len(chosen)] * weights).sum(), list(leaves.values()), retain_graph=True, allow_unused=True
        )
        for own_name, gradient in zip(leaves, found, strict=True):
            expected = stock[ours[own_name]]
            if gradient is None or expected is None:
                assert gradient is expected, own_name
                continue
            torch.testing.assert_close(gradient[run], expected, rtol=0, atol=1e-9, msg=own_name)


def test_shared_layers_are_dropped_from_anew_in_every_layer() -> None:
    model = backbones.classifier("albert", hidden_dropout_prob=0.2)
    network = backbones.network(model)
    _, batch = backbones.batches(network)
    seen = []
    place = network.get_submodule("backbone.encoder.albert_layer_groups.0.albert_layers.0.attention.output_dropout")
    place.register_forward_hook(lambda _, inputs, output: seen.append((output == 0)[:, :4]))
    noise, _ = network.noise(list(network.dropouts()), torch.tensor([3, 4], dtype=torch.int32), batch)
    head = {n: t[None] for n, t in backbones.head_tensors("albert", model).items()}
    first = network.call(head, noise, batch)
    again = network.call(head, noise, batch)
    assert torch.equal(first, again)
    assert len(seen) == 6
    assert not torch.equal(seen[0], seen[1])
    assert all(0 < part.float().mean() < 0.5 for part in seen)
