"""Selected elements: the ones that an independent implementation selects, as many as asked."""

import numpy as np
import pytest
import torch

from peftcli.engine.batches import build
from peftcli.engine.pretrained import fresh_tensors, training_gradient
from peftcli.models.reach import Reading
from peftcli.seeds import generator
from tests import backbones, tiny


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
        batch = build([(examples, np.array([one]))], Reading(), head.device)
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


def largest(row, count):
    return set(np.argsort(-row, kind="stable")[:count].tolist())


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("choice", ["model", "tensor"])
@pytest.mark.parametrize(("summed", "batches"), [("magnitudes", 1), ("magnitudes", 5), ("gradients", 5)])
def test_gradient_s_set_is_that_of_a_plain_loop_over_the_stock_model(family, choice, summed, batches):
    """Each of two runs of a cohort, its own batches: the third has three of the 11 examples, the fourth is of a new epoch."""
    stock = backbones.classifier(family, labels=2)
    data, options = tiny.data("pair", 11), {"share": 0.05, "choice": choice, "summed": summed, "batches": batches}
    runs = [tiny.run("gradient", seed=seed, options=options, dropout=0.1, batch_size=4) for seed in (0, 1)]
    assembly = tiny.cohort(backbones.backbone(stock), runs, own=data).assembly
    assert len(assembly.index) > 1
    for row, run in enumerate(runs):
        head = fresh_tensors(assembly.network, run.seed)
        with torch.no_grad():
            for name, parameter in backbones.head_tensors(family, stock).items():
                parameter.copy_(head[name])
        total = {name: torch.zeros_like(parameter) for name, parameter in stock.base_model.named_parameters()}
        orders = [generator(run.seed, f"order/{epoch}").permutation(11) for epoch in range(2)]
        for picked in [order[at : at + 4] for order in orders for at in (0, 4, 8)][:batches]:
            stock.zero_grad()
            labels = torch.tensor(data.train.labels[picked])
            stock(**backbones.padded_inputs(stock, data.train, picked), labels=labels).loss.backward()
            for name, parameter in stock.base_model.named_parameters():
                total[name] += parameter.grad.abs() if summed == "magnitudes" else parameter.grad
        scores = {name: value.abs().flatten().numpy() for name, value in total.items()}
        chosen = {name: set(index[row].tolist()) for name, index in assembly.index.items()}
        if choice == "tensor":
            sizes = {name: int(0.05 * score.size) for name, score in scores.items()}
            assert {n: places for n, places in chosen.items() if places} == {
                name: largest(scores[name], size) for name, size in sizes.items() if size
            }
            continue
        starts = dict(zip(scores, np.cumsum([0, *(score.size for score in scores.values())]), strict=False))
        # A run that has fewer elements of a tensor than the other has slots behind its end.
        ours = {starts[n] + at for n, places in chosen.items() for at in places if at < scores[n].size}
        assert ours == largest(np.concatenate(list(scores.values())), assembly.counts[row])
        assert assembly.counts[row] == int(0.05 * sum(score.size for score in scores.values()))


def test_gradients_are_taken_once_whatever_is_chosen(monkeypatch):
    """Every tensor's share is taken of the same gradient: it is not worked out anew for each of them."""
    calls = []
    monkeypatch.setattr("peftcli.engine.cohort.training_gradient", lambda *given: calls.append(1) or taken(*given))
    taken = training_gradient
    for strategy in ("sam", "gradient"):
        options = {"share": 0.05, "choice": "tensor", "batches": 2}
        tiny.cohort(tiny.backbone("bert"), [tiny.run(strategy, options=options)])
    assert len(calls) == 2


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
