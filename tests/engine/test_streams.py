"""Unpadded streams give what the stock padded model gives, for every kind of task, short batches and unequal runs."""

import numpy as np
import pytest
import torch

from peftcli.engine import backbone as backbones
from peftcli.engine.batches import build
from peftcli.engine.network import Network
from peftcli.models.reach import Reading
from tests import tiny
from tests.backbones import padded_inputs

BATCHES = {
    "one run": [[3, 0, 7, 5]],
    "a short last batch": [[3, 0, 7, 5], [1]],
    "runs of different lengths": [[2, 4], [9, 1, 0, 3, 8], [6, 5, 10]],
}
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


def by_hand(network, hidden, examples, chosen, run, head):
    """One run's logits from the stock model's padded hidden states, example by example."""
    dense, out = (lambda x, n=n: x @ head[f"{n}.weight"][run].mT + head[f"{n}.bias"][run] for n in ("dense", "out"))
    found = []
    for row, example in enumerate(chosen):
        if network.kind == "token":
            words = examples.words[examples.word_starts[example] : examples.word_starts[example + 1]]
            found += [out(hidden[row, word]) for word in words]
        elif network.kind == "span":
            pooled = []
            for first, last in examples.spans[example]:
                tokens = hidden[row, first:last]
                scores = tokens @ head["span_attention.weight"][run].mT + head["span_attention.bias"][run]
                pooled.append((scores.softmax(0) * tokens).sum(0))
            found.append(out(torch.cat(pooled)))
        else:
            group = examples.group
            for own in range(row * group, (row + 1) * group):
                read = hidden[own, 0]
                if network.pooler is not None:
                    read = torch.tanh(read @ network.pooler.dense.weight.mT + network.pooler.dense.bias)
                found.append(out(torch.tanh(dense(read)) if "dense.weight" in head else read))
    return torch.stack(found)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batches", BATCHES)
@pytest.mark.parametrize("kind", tiny.KINDS)
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_streams_equal_padding(model_type, kind, batches, dtype):
    stock = tiny.stock(model_type, dtype)
    own = backbones.adopt(tiny.stock(model_type, dtype), model_type == "bert", frozenset())
    network = Network(own, kind, 3 if kind == "token" else 2, "stock")
    parts = [(tiny.examples(kind, 12, seed), np.array(chosen)) for seed, chosen in enumerate(BATCHES[batches])]
    for examples, _ in parts:
        examples.types[:] = np.arange(len(examples.types)) % network.config["type_vocab_size"]
    batch = build(parts, network.reading, torch.device("cpu"))
    torch.manual_seed(1)
    head = {p.name: torch.randn(len(parts), *p.shape, dtype=dtype) for p in network.anatomy.head}
    logits = network.call(head, {}, batch)
    short = {name.removeprefix("head."): tensor for name, tensor in head.items()}
    for run, (examples, chosen) in enumerate(parts):
        sequences = (chosen[:, None] * examples.group + np.arange(examples.group)).reshape(-1)
        hidden = stock(**padded_inputs(stock, examples, sequences)).last_hidden_state
        wanted = by_hand(network, hidden, examples, chosen, run, short)
        torch.testing.assert_close(logits[run, : len(wanted)], wanted, rtol=0, atol=TOLERANCE[dtype])
        assert torch.isfinite(logits).all()


def test_tokens_are_counted_once_and_fillers_not():
    examples = tiny.examples("pair", 12)
    parts = [(examples, np.array([3, 0])), (examples, np.array([1]))]
    stream = build(parts, Reading(), torch.device("cpu")).stream
    lengths = examples.lengths
    assert stream.tokens == lengths[3] + lengths[0] + lengths[1]
    assert stream.ids.shape == (2, max(lengths[3] + lengths[0], lengths[1]))
    assert stream.positions[0].tolist() == [*range(lengths[3]), *range(lengths[0])]
