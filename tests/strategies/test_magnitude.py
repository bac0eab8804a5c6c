"""Magnitude pruning after a burn-in: the numbers of a plain loop, what is counted, and nothing held moves by a bit."""

import numpy as np
import pytest
import torch

from peftcli.engine import training
from peftcli.engine.batches import chosen
from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.experiment.run import Run
from tests import tiny
from tests.engine.test_training import stock_classifier, stock_name

STEPS, BURN_IN, SHARE = 20, 6, 0.05
ADAMW = {"optimizer": "adamw", "weight_decay": 0.01, "max_grad_norm": 1.0, "dropout": 0.0, "epsilon": 1e-6}


def burned_in(rate: float = 2e-3, seed: int = 3, **training: object) -> Run:
    return tiny.run("magpruning", rate, seed, {"share": SHARE, "burn_in": BURN_IN}, steps=STEPS, **training)


def largest(weight: torch.Tensor) -> torch.Tensor:
    """The places of the largest elements, by numpy, as a mask."""
    row, count = weight.detach().numpy().reshape(-1), int(SHARE * weight.numel())
    mask = np.zeros(row.size, bool)
    mask[np.argpartition(-np.abs(row), count - 1)[:count] if count else []] = True
    return torch.from_numpy(mask).view_as(weight)


def plain_loop(model, run, examples):
    """Torch's own optimizer on the stock model: all of it, then the largest elements and the head."""
    own = dict(model.named_parameters())
    spared = [n for n in own if n.endswith("bias") or "LayerNorm" in n]
    groups = [
        {"params": [p for n, p in own.items() if n not in spared], "weight_decay": 0.01},
        {"params": [own[n] for n in spared], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=run.learning_rate, eps=1e-6)
    free: dict[str, torch.Tensor] = {}
    held: dict[str, torch.Tensor] = {}
    for step in range(STEPS):
        picked = chosen(run.seed, step, len(examples), run.protocol.batch_size)
        rows = [torch.tensor(examples.ids[examples.starts[i] : examples.starts[i + 1]]) for i in picked]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(r) for r in rows], batch_first=True)
        model(input_ids=ids, attention_mask=mask, labels=torch.tensor(examples.labels[picked])).loss.backward()
        for name, place in free.items():
            own[name].grad *= place
        torch.nn.utils.clip_grad_norm_(own.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            if step + 1 == BURN_IN:
                free = {n: largest(p) for n, p in own.items() if not n.startswith("classifier")}
                held = {n: p.detach().clone() for n, p in own.items()}
            for name, place in free.items():
                own[name].copy_(own[name].where(place, held[name]))
    return own, held, free


def test_it_equals_a_plain_loop_and_what_is_held_stays_to_the_bit() -> None:
    run = burned_in(schedule="constant", warmup_ratio=0.0, **ADAMW)
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    start = cohort.assembly.values(cohort.assembly.flat)
    model = stock_classifier("bert", {n: v[0] for n, v in start.items() if "::" not in n})
    state = training.begin(cohort)
    at_burn_in: dict[str, torch.Tensor] = {}
    for current in training.train(cohort, state):
        if current.step == BURN_IN and not at_burn_in:
            at_burn_in = cohort.assembly.effective(current.flat.detach().clone())
    ours = cohort.assembly.effective(state.flat.detach())
    expected, held, free = plain_loop(model, run, cohort.data[0].train)
    assert set(free) == {stock_name("bert", n) for n in ours if not n.startswith("head.")}
    for name, value in ours.items():
        theirs = stock_name("bert", name)
        torch.testing.assert_close(value[0], expected[theirs].detach(), rtol=0, atol=1e-9, msg=name)
        if name.startswith("head."):
            continue
        torch.testing.assert_close(at_burn_in[name][0], held[theirs], rtol=0, atol=1e-9, msg=name)
        moved = value[0] != at_burn_in[name][0]
        assert not bool((moved & ~free[theirs]).any()), name
        if not name.endswith("key.bias"):  # which has no true gradient
            assert not torch.equal(at_burn_in[name][0], cohort.network.weights[name]), f"{name} has not drifted"
        assert int(moved.sum()) >= 0.8 * int(free[theirs].sum()), name


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_cohort_equals_its_runs_alone(dropout: float) -> None:
    model = tiny.backbone("roberta")
    runs = [burned_in(rate, seed, **{**ADAMW, "dropout": dropout}) for rate, seed in [(1e-3, 0), (3e-3, 0), (1e-3, 1)]]
    found = []
    for group in (runs, *([run] for run in runs)):
        cohort = tiny.cohort(model, group)
        state = training.begin(cohort)
        for _ in training.train(cohort, state):
            pass
        found.append(cohort.assembly.effective(state.flat.detach()))
    for row, alone in enumerate(found[1:]):
        for name, value in alone.items():
            torch.testing.assert_close(found[0][name][row], value[0], rtol=0, atol=1e-9, msg=name)


def test_all_of_the_model_is_counted_as_trained() -> None:
    counts = parameters.count("roberta-base", "magpruning", {"burn_in": 500}, "pair", 2, "pooled_dense")
    assert (counts.trainable, counts.trainable_percent) == (124_645_632, 100.0)
    columns = parameters.columns("roberta-base", "magpruning", {"burn_in": 500}, "pair", 2, "pooled_dense")
    assert columns == 2 * 124_645_632 + counts.head  # the anchors are trained with, not trained
    cohort = tiny.cohort(tiny.backbone("bert"), [burned_in()])
    assert cohort.assembly.counts == (cohort.network.anatomy.total,)


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="selects nothing to train after the burn-in"):
        parameters.count("roberta-base", "magpruning", {"burn_in": 500, "share": 1e-9}, "pair", 2)


def test_magpruning_chooses_as_numpy_does():
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("magpruning")])
    for name, index in cohort.assembly.index.items():
        weight = cohort.network.weights[name].numpy().reshape(-1)
        count = int(0.05 * weight.size)
        expected = np.argpartition(-np.abs(weight), count - 1)[:count]
        assert set(index[0].tolist()) == set(expected.tolist())
