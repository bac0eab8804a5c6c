"""Selected elements: the ones that an independent implementation selects, as many as asked."""

import numpy as np
import pytest
import torch

from peftcli.engine.batches import build
from tests import tiny


def _anatomy():
    return tiny.cohort(tiny.backbone("bert"), [tiny.run("frozen")]).network.anatomy


def test_layernorm_outliers_are_farthest_from_their_modules_mean():
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm_outlier")])
    weights = cohort.network.weights
    for layer in range(3):
        for place in ("attention.output", "output"):
            stem = f"encoder.layer.{layer}.{place}.LayerNorm"
            row = np.concatenate([weights[f"{stem}.weight"].numpy(), weights[f"{stem}.bias"].numpy()])
            expected = set(np.argsort(-np.abs(row - row.mean()))[:5].tolist())
            gain, bias = (cohort.assembly.index.get(f"{stem}.{kind}", torch.empty(1, 0)) for kind in ("weight", "bias"))
            assert set(gain[0].tolist()) | {16 + i for i in bias[0].tolist()} == expected


@pytest.mark.parametrize("choice", ["model", "tensor"])
def test_sam_chooses_by_the_whole_training_gradient(choice):
    run = tiny.run("sam", options={"share": 0.05, "choice": choice})
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    head = tiny.cohort(tiny.backbone("bert"), [run.model_copy(update={"strategy": "full", "options": {}})])
    flat = head.assembly.flat.clone().requires_grad_()
    examples = head.data[0].train
    losses = []
    for one in range(len(examples)):  # one example at a time: no batching of ours
        batch = build([(examples, np.array([one]))], 0, head.device)
        found = head.forward(flat, 0)(batch)
        losses.append(torch.nn.functional.cross_entropy(found[0], batch.labels[0]))
    torch.stack(losses).mean().backward()
    gradients = {
        n: g[0].reshape(-1).numpy() for n, g in head.assembly.values(flat.grad).items() if not n.startswith("head.")
    }
    chosen = {name: set(index[0].tolist()) for name, index in cohort.assembly.index.items()}
    if choice == "tensor":
        for name, gradient in gradients.items():
            count = int(0.05 * gradient.size)
            assert chosen.get(name, set()) == set(np.argsort(-(gradient**2), kind="stable")[:count].tolist()), name
        return
    row = np.concatenate(list(gradients.values()))
    best = set(np.argsort(-(row**2), kind="stable")[: int(0.05 * row.size)].tolist())
    start, ours = 0, set()
    for name, gradient in gradients.items():
        ours |= {start + place for place in chosen.get(name, set())}
        start += gradient.size
    assert ours == best


def test_bernoulli_random_has_its_share():
    options = {"share": 0.05, "draw": "bernoulli"}
    runs = [tiny.run("random", seed=seed, options=options) for seed in range(5)]
    counts = tiny.cohort(tiny.backbone("bert"), runs).assembly.counts
    size = _anatomy().total
    sigma = (0.05 * 0.95 * size) ** 0.5
    assert all(abs(count - 0.05 * size) < 5 * sigma for count in counts)
    assert len(set(counts)) > 1


def test_exact_random_draws_each_element_alike_and_by_the_seed():
    places = [
        tiny.cohort(tiny.backbone("bert"), [tiny.run("random", seed=s, options={"count": 500})]).assembly
        for s in (0, 0, 1)
    ]
    assert [p.counts[0] for p in places] == [500, 500, 500]
    assert all(torch.equal(places[0].index[name], places[1].index[name]) for name in places[0].index)
    assert any(not torch.equal(places[0].index[n], places[2].index.get(n, torch.empty(0))) for n in places[0].index)
