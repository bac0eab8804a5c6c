"""What trains, what is fixed and what stays as loaded are together the whole model, and nothing is in two parts."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from peftcli.engine.assembly import assemble
from peftcli.engine.network import Network
from peftcli.engine.partition import Partition, partition, run_mask
from peftcli.engine.pretrained import fresh_tensors
from peftcli.strategies import registry
from peftcli.strategies.pretrained import Pretrained, generator
from peftcli.strategies.tuning import Elements, Tuning
from tests import tiny

QUERY = "encoder.layer.0.attention.self.query.weight"


def network_of() -> Network:
    return Network(tiny.backbone("bert"), "pair", 2, "stock")


def pretrained(network: Network, seed: int = 0, **changes: torch.Tensor) -> Pretrained:
    """One run's tensors; `changes` by name, its dots written as two underscores."""
    weights = {**network.weights, **fresh_tensors(network, seed)}
    weights |= {name.replace("__", "."): tensor for name, tensor in changes.items()}
    return Pretrained(weights, generator(seed, "mask"), network.config, lambda _: {})


def parts_of(strategy: str, options: dict[str, Any], seeds: int = 1) -> tuple[Network, Partition]:
    network = network_of()
    chosen = registry.get(strategy)
    tuning = chosen.tune(network.anatomy, chosen.options(options))
    models = [pretrained(network, seed) for seed in range(seeds)]
    masks = [run_mask(network, tuning, model) for model in models]
    starts = [{**model.weights, **(tuning.start(model) if tuning.start else {})} for model in models]
    joined = {
        name: value if all(start[name] is value for start in starts) else torch.stack([s[name] for s in starts])
        for name, value in starts[0].items()
    }
    return network, partition(network, masks, models[0].weights, joined)


def sizes(network: Network, parts: Partition) -> tuple[int, int, int, int]:
    """Tensors in each part."""
    parts.check(network)
    counts = (len(parts.whole), len(parts.index), len(parts.fixed), len(parts.frozen))
    assert sum(counts) == len(network.anatomy.by_name)
    return counts


# A tiny BERT has 55 tensors with its pooler, and a head of 2. In each of 3 layers 8 biases and 2 LayerNorms of 2 tensors.
@pytest.mark.parametrize(
    ("strategy", "options", "expected"),
    [
        ("full", {}, (57, 0, 0, 0)),
        ("frozen", {}, (2, 0, 0, 55)),
        ("layernorm", {}, (3 * 4 + 2, 0, 0, 55 - 3 * 4)),
        ("lora", {"rank": 2, "train_head": False}, (0, 0, 2, 55)),
        ("layernorm_outlier", {"n": 32}, (2, 3 * 4, 0, 55 - 3 * 4)),
    ],
)
def test_the_parts_have_so_many_tensors(strategy: str, options: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert sizes(*parts_of(strategy, options)) == expected


def test_weights_drawn_anew_are_fixed_or_train_and_none_stays_as_loaded() -> None:
    network, parts = parts_of("reinit_bitfit", {}, seeds=2)
    whole, elements, fixed, _ = sizes(network, parts)
    assert elements == 0
    assert fixed > 0
    assert whole == 2 + sum(name.endswith("bias") for name in parts.whole if not name.startswith("head."))
    assert parts.fixed[QUERY].shape == (2, 16, 16), "each run has weights of its own"


def test_runs_with_fewer_elements_have_dead_slots() -> None:
    _, parts = parts_of("random", {"share": 0.05, "draw": "bernoulli"}, seeds=3)
    size = 61 * 16
    index = parts.index["embeddings.word_embeddings.weight"]
    lengths = (index < size).sum(1)
    assert int(lengths.max()) == index.shape[1]
    assert int(lengths.min()) < index.shape[1]
    assert bool((index <= size).all())
    for row, length in zip(index, lengths, strict=True):
        assert bool((row[:length].diff() > 0).all()), "ascending"
        assert bool((row[length:] == size).all())


def test_a_tensor_in_two_parts_or_in_none_is_refused() -> None:
    network, parts = parts_of("layernorm_outlier", {"n": 32})
    name = next(iter(parts.index))
    for wrong in (
        replace(parts, whole=(*parts.whole, name)),
        replace(parts, frozen=parts.frozen | {name}),
        replace(parts, fixed={name: network.weights[name][None]}),
    ):
        with pytest.raises(AssertionError, match=f"{name} is in 2 parts of the model"):
            wrong.check(network)
    for wrong in (replace(parts, frozen=parts.frozen - {QUERY}), replace(parts, index={})):
        with pytest.raises(AssertionError, match="is in 0 parts of the model"):
            wrong.check(network)
    with pytest.raises(AssertionError, match="the model has no such tensor"):
        replace(parts, whole=(*parts.whole, "encoder.layer.9.bias")).check(network)


def test_a_frozen_tensor_that_is_not_the_networks_own_is_refused() -> None:
    """The network would compute with its own, and nobody would notice that the run's is another one."""
    network = network_of()
    model = pretrained(network, encoder__layer__0__attention__self__query__weight=network.weights[QUERY] + 1)
    with pytest.raises(AssertionError, match=f"{QUERY} is in 0 parts"):
        assemble(network, Tuning(mask=("encoder.layer.0.attention.self.key.weight",)), [model])


@pytest.mark.parametrize("whole_first", [True, False])
def test_a_tensor_selected_whole_and_in_elements_is_refused(whole_first: bool) -> None:
    network = network_of()
    some = Elements((QUERY,), 2, lambda _: torch.tensor([3, 8]))
    tuning = Tuning(mask=(QUERY, some) if whole_first else (some, QUERY))
    with pytest.raises(AssertionError, match="is selected"):
        run_mask(network, tuning, pretrained(network))


def test_elements_of_several_tensors_are_cut_at_their_borders() -> None:
    network = network_of()
    names = ("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias", QUERY)  # 16, 16 and 256 elements
    tuning = Tuning(mask=(Elements(names, 4, lambda _: torch.tensor([0, 15, 32, 287])),), train_head=False)
    mask = run_mask(network, tuning, pretrained(network))
    assert {name: positions.tolist() for name, positions in mask.items() if positions is not None} == {
        names[0]: [0, 15],
        names[2]: [0, 255],
    }
