"""Gates open as often as their closed form says, the loop is a plain one over differences, the asked share is kept."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.func import functional_call

from peftcli.engine import optimizer as adam
from peftcli.engine.batches import chosen
from peftcli.engine.cohort import Cohort
from peftcli.experiment.run import Run
from peftcli.noise import uniform
from peftcli.strategies import gated, registry
from peftcli.strategies.tuning import Moment
from tests import backbones, tiny
from tests.engine.test_training import stock_classifier, stock_name

Tensors = dict[str, torch.Tensor]


def evaluation(runs=1):
    return Moment(0, False, torch.zeros(runs, dtype=torch.int32))


def _anatomy():
    return tiny.cohort(tiny.backbone("bert"), [tiny.run("frozen")]).network.anatomy


def test_the_expected_l0_is_its_closed_form_and_the_frequency_of_open_gates():
    log_alpha = torch.tensor([-2.0, -0.5, 0.0, 1.0, 3.0], dtype=torch.float64)
    noise = torch.rand(200_000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    opened = (gated.gate(log_alpha, noise) > 0).double().mean(0)
    closed_form = torch.sigmoid(log_alpha - np.log(gated.STRETCH / gated.STRETCH))
    torch.testing.assert_close(opened, closed_form, rtol=0, atol=5 * 0.5 / 200_000**0.5)
    tuning = registry.get("diffpruning").tune(_anatomy(), {**registry.get("diffpruning").options({"share": 0.05})})
    names = [n.removeprefix(gated.GATE) for n in tuning.extra]
    many = {gated.GATE + n: log_alpha[None] for n in names} | {n: torch.zeros(1, 5) for n in names}
    assert float(tuning.penalty(many, evaluation())) == pytest.approx(float(closed_form.mean()))


@pytest.mark.parametrize("strategy", ["diffpruning", "childpruning"])
def test_projected_strategies_keep_exactly_the_asked_share(strategy):
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run(strategy, 5e-3, weight_decay=0.01)])
    state = tiny.trained(cohort)
    after = cohort.assembly.effective(state.flat.detach())
    values, total = cohort.assembly.values(state.flat.detach()), 0
    for name, kept in cohort.assembly.tuning.kept.items():
        moved = after[name][0] != cohort.network.weights[name]
        assert kept == int(0.05 * moved.numel() + 1e-9)
        if strategy == "diffpruning":
            opened = values[gated.GATE + name][0] > 0
            assert int(opened.sum()) == kept, name
            assert not bool((moved & ~opened).any()), name
        else:
            assert kept - int(moved.sum()) in (0, 1, 2), name  # an embedding's row that no example has may not move
        total += int(moved.sum())
    # Embeddings' rows that no example reads have no gradient, and no difference that could decay.
    assert total >= (0.6 if strategy == "diffpruning" else 0.9) * cohort.assembly.counts[0]


STEPS, BURN_IN, SHARE = 14, 6, 0.05


def released(seed: int = 0, rate: float = 3e-3, **options: Any) -> Run:
    chosen = {"share": SHARE, "burn_in": BURN_IN, "gate_start": "drawn", "keep": "decided", **options}
    settings = {"weight_decay": 0.3, "epsilon": 1e-6, "max_grad_norm": None, "dropout": 0.0, "steps": STEPS}
    return tiny.run("diffpruning", rate, seed, chosen, schedule="constant", warmup_ratio=0.0, **settings)


def plain_loop(run: Run, cohort: Cohort) -> tuple[Tensors, Tensors]:
    """Differences and gates by torch's own AdamW, over the stock model computed at W0 + z · difference."""
    values = {name: value[0] for name, value in cohort.assembly.values(cohort.assembly.flat).items()}
    start = cohort.assembly.start  # one run's alone: [*shape] each
    gates = {name.removeprefix(gated.GATE): v.clone() for name, v in values.items() if "::" in name}
    model = stock_classifier("bert", start)
    difference = {name: torch.zeros_like(value) for name, value in start.items() if name in gates}
    head = {name: value.clone() for name, value in start.items() if name.startswith("head.")}
    for tensor in (*difference.values(), *gates.values(), *head.values()):
        tensor.requires_grad_()
    spared = [n for n in (*difference, *head) if n.endswith("bias") or "LayerNorm" in n]
    own = {**difference, **head}
    optimizer = torch.optim.AdamW(
        [
            {"params": [tensor for name, tensor in own.items() if name not in spared], "weight_decay": 0.3},
            {"params": [*(own[name] for name in spared), *gates.values()], "weight_decay": 0.0},
        ],
        lr=run.learning_rate,
        eps=1e-6,
    )
    examples = cohort.data[0].train
    for step in range(STEPS):
        keys = cohort.noise(step, cohort.batch(step))[1]
        noise = {
            name: uniform(keys, site, value.numel()).view(value.shape)
            for site, (name, value) in enumerate(gates.items())
        }
        opened = {name: gated.gate(gates[name], noise[name]) for name in gates}
        weights = {name: start[name] + opened[name] * difference[name] for name in gates} | head
        picked = chosen(run.seed, step, len(examples), run.protocol.batch_size)
        batch = backbones.padded_inputs(model, examples, picked) | {"labels": torch.tensor(examples.labels[picked])}
        loss = functional_call(model, {stock_name("bert", n): w for n, w in weights.items()}, kwargs=batch).loss
        (loss + torch.cat([value.sigmoid().flatten() for value in gates.values()]).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for name, value in gates.items() if step + 1 == BURN_IN else ():
                kept = value.abs().flatten().topk(int(SHARE * value.numel())).indices
                value.copy_(
                    torch.full_like(value.flatten(), -gated.OPEN).index_fill(0, kept, gated.OPEN).view_as(value)
                )
                difference[name].mul_(value > 0)
    ends = {name: start[name] + (gates[name] > 0) * difference[name].detach() for name in gates}
    return ends | {name: value.detach() for name, value in head.items()}, start


def test_it_equals_a_plain_loop_over_differences_which_decay_to_the_pretrained_weights() -> None:
    run = released()
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    ours = cohort.assembly.effective(tiny.trained(cohort).flat.detach())
    expected, start = plain_loop(run, cohort)
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(ours[name][0], value, rtol=0, atol=1e-9, msg=name)
    assert sum(int((value != start[name]).sum()) for name, value in expected.items()) > 100


@pytest.mark.parametrize("decays", ["difference", "weights"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_decay_draws_to_the_pretrained_weights_or_as_in_earlier_records_to_zero(optimizer: str, decays: str) -> None:
    """Without a gradient what is left is decay alone."""
    run = released(decays=decays)
    cohort, settings = (
        tiny.cohort(tiny.backbone("bert"), [run]),
        run.protocol.model_copy(update={"optimizer": optimizer}),
    )
    flat = cohort.assembly.flat + 0.01
    rates, before = torch.full((1, 1), 0.005, dtype=torch.float64), flat.clone()
    adam.update(
        flat, torch.zeros_like(flat), adam.moments(flat), 1, rates, settings, adam.decay(cohort.assembly, settings)
    )
    name = "encoder.layer.1.intermediate.dense.weight"
    end, last, start = (cohort.assembly.values(matrix)[name] for matrix in (flat, before, cohort.assembly.flat))
    decayed = torch.full_like(last, 0.01) if decays == "difference" else last
    assert bool((start + 0.01 < 0).any())
    assert bool((start + 0.01 > 0).any())
    # AdamW takes off rate · decay of it; Adam steps by the whole rate against its sign (epsilon aside), to be scaled at once.
    step = 0.005 * 0.3 * decayed if optimizer == "adamw" else 0.005 * decayed / (decayed.abs() + 1e-6 / 0.3)
    torch.testing.assert_close(end, last - step, rtol=0, atol=1e-12)
    gates = {n: v for n, v in cohort.assembly.values(flat - before).items() if "::" in n}
    assert len(gates) > 10
    assert not any(bool(v.any()) for v in gates.values())


def test_what_has_not_moved_is_not_moved_by_decay() -> None:
    run = released()
    cohort = tiny.cohort(tiny.backbone("bert"), [run])
    flat, decay = cohort.assembly.flat.clone(), adam.decay(cohort.assembly, run.protocol)
    adam.update(
        flat,
        torch.zeros_like(flat),
        adam.moments(flat),
        1,
        torch.full((1, 1), 0.1, dtype=torch.float64),
        run.protocol,
        decay,
    )
    moved = {name for name, value in cohort.assembly.values(flat - cohort.assembly.flat).items() if value.any()}
    assert moved == {"head.out.weight"}  # which has no difference: it decays to zero


def test_drawn_gates_are_the_sigmoid_of_normal_numbers_and_each_run_s_own() -> None:
    runs = [released(seed, again=3 * BURN_IN) for seed in (0, 1)]
    cohort = tiny.cohort(tiny.backbone("bert", hidden_size=64, intermediate_size=256), runs)
    flat = cohort.assembly.flat
    again, values = flat.clone(), cohort.assembly.values
    cohort.assembly.tuning.after_step(values(again), cohort.assembly.start, Moment(3 * BURN_IN - 1, True, cohort.keys))
    for matrix in (flat, again):
        logits = torch.cat([v.flatten(1) for n, v in values(matrix).items() if "::" in n], 1).logit()
        count = logits.shape[1]
        assert count > 160_000
        assert float(logits.mean(1).abs().max()) < 4 / count**0.5
        assert float((logits.std(1) - 1).abs().max()) < 4 / (2 * count) ** 0.5
        for edge in (-1.5, -0.5, 0.5, 1.5):  # and normal in between
            below = (logits < edge).double().mean(1)
            torch.testing.assert_close(
                below, below.new_full((2,), torch.special.ndtr(torch.tensor(edge))), rtol=0, atol=0.005
            )
        assert abs(float(torch.corrcoef(logits)[0, 1])) < 4 / count**0.5
    gate = gated.GATE + "encoder.layer.0.output.dense.weight"
    assert abs(float(torch.corrcoef(torch.stack([values(m)[gate][0].flatten() for m in (flat, again)]))[0, 1])) < 0.05
    weights = [name for name in values(flat) if "::" not in name]
    assert all(torch.equal(values(flat)[name], values(again)[name]) for name in weights)


def test_a_cohort_with_drawn_gates_that_start_anew_equals_its_runs_alone() -> None:
    runs = [
        released(seed, rate, again=8, burn_in=3, include_head=True) for rate, seed in ((1e-3, 0), (3e-3, 0), (1e-3, 1))
    ]
    tiny.assert_as_alone(
        tiny.cohort(tiny.backbone("bert"), runs), lambda run: tiny.cohort(tiny.backbone("bert"), [run])
    )
