"""Which examples a step has, and that every token is computed once."""

from itertools import chain

import numpy as np
import torch

from peftcli.engine import training
from peftcli.engine.batches import build, chosen
from peftcli.models.reach import Reading
from tests import tiny


def trained_on(runs, examples=64):
    data = tiny.data("pair", examples)
    cohort = tiny.cohort(tiny.backbone("bert", dtype=torch.float32), runs, own=data)
    state = training.begin(cohort)
    for _ in training.train(cohort, state):
        pass
    return data, state


def test_tokens_computed_are_the_tokens_in_the_data():
    data, state = trained_on([tiny.run("layernorm", steps=None, epochs=2.0)])
    assert state.tokens == state.slots == 2 * len(data.train.ids)


def test_runs_of_one_seed_compute_no_token_more():
    runs = [tiny.run("layernorm", rate, 5, steps=None, epochs=2.0) for rate in (1e-4, 1e-3, 5e-3)]
    data, state = trained_on(runs)
    assert state.tokens == state.slots == 3 * 2 * len(data.train.ids)


def test_eight_seeds_compute_at_most_18_percent_more():
    runs = [tiny.run("layernorm", 1e-3, seed, steps=None, epochs=1.0, batch_size=16) for seed in range(8)]
    data, state = trained_on(runs, examples=256)
    assert state.tokens == 8 * len(data.train.ids)
    assert 1 <= state.slots / state.tokens <= 1.18


def test_an_epoch_has_every_example_once_and_its_last_batch_is_shorter():
    steps = [chosen(5, step, 10, 4).tolist() for step in range(6)]
    assert [len(step) for step in steps] == [4, 4, 2, 4, 4, 2]
    first, second = (list(chain(*epoch)) for epoch in (steps[:3], steps[3:]))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert chosen(6, 0, 10, 4).tolist() != steps[0]


def test_a_shorter_run_is_filled_up_and_marked_absent():
    examples = tiny.examples("span", 12)
    batch = build([(examples, np.array([3, 0, 7])), (examples, np.array([1]))], Reading(), torch.device("cpu"))
    assert batch.present.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.labels[0].tolist() == examples.labels[[3, 0, 7]].tolist()
    starts = [0, examples.lengths[3], examples.lengths[3] + examples.lengths[0]]
    assert batch.read_positions[0].tolist() == starts
    assert batch.spans[0, 2].tolist() == (examples.spans[7] + starts[2]).tolist()
    assert bool((batch.spans[..., 1] > batch.spans[..., 0]).all()), "no span is empty, an absent one neither"
