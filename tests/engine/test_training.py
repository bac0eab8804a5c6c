"""The loop equals a plain torch loop over the stock padded model; a cohort equals its runs alone; masks hold to the bit."""

import math

import pytest
import torch

from peftcli.engine.batches import chosen
from tests import tiny

LOOPS = {
    "adam": {"optimizer": "adam", "epsilon": 1e-6, "max_grad_norm": None},
    "adamw": {"optimizer": "adamw", "epsilon": 1e-8, "weight_decay": 0.01, "max_grad_norm": 1.0},
    "constant": {"optimizer": "adam", "schedule": "constant", "warmup_ratio": 0.0, "max_grad_norm": 0.5},
}


def stock_classifier(model_type, start):
    """The stock sequence classifier with the run's weights and head, dropout off."""
    from transformers import AutoModelForSequenceClassification

    config = tiny.stock(model_type).config
    config.num_labels = 2
    for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
        setattr(config, name, 0.0)
    model = AutoModelForSequenceClassification.from_config(config).double()
    theirs = dict(model.named_parameters())
    for name, value in start.items():
        theirs[stock_name(model_type, name)].data = value.clone()
    return model


def stock_name(model_type, name):
    if name.startswith("head."):
        last = {"bert": "classifier", "roberta": "classifier.out_proj"}[model_type]
        return name.replace("head.out", last).replace("head.dense", "classifier.dense")
    return f"{model_type}.{name}"


def plain_loop(model_type, model, run, examples, trainable, steps):
    """Padded batches, torch's own optimizer, scheduler and clipping."""
    from transformers import get_constant_schedule_with_warmup, get_linear_schedule_with_warmup

    settings, padding = run.protocol, model.config.pad_token_id
    own = dict(model.named_parameters())
    names = {stock_name(model_type, name) for name in trainable}
    for name, parameter in own.items():
        parameter.requires_grad_(name in names)
    spared = [n for n in names if n.endswith("bias") or "LayerNorm" in n]
    groups = [
        {"params": [own[n] for n in sorted(names) if n not in spared], "weight_decay": settings.weight_decay},
        {"params": [own[n] for n in sorted(spared)], "weight_decay": 0.0},
    ]
    kind = torch.optim.Adam if settings.optimizer == "adam" else torch.optim.AdamW
    optimizer = kind(groups, lr=run.learning_rate, eps=settings.epsilon, betas=tuple(settings.betas))
    warmup = math.ceil(settings.warmup_ratio * steps)
    if settings.schedule == "linear":
        scheduler = get_linear_schedule_with_warmup(optimizer, warmup, steps)
    else:
        scheduler = get_constant_schedule_with_warmup(optimizer, warmup)
    losses = []
    for step in range(steps):
        picked = chosen(run.seed, step, len(examples), settings.batch_size)
        rows = [torch.tensor(examples.ids[examples.starts[i] : examples.starts[i + 1]]) for i in picked]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=padding)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(r) for r in rows], batch_first=True)
        found = model(input_ids=ids, attention_mask=mask, labels=torch.tensor(examples.labels[picked]))
        found.loss.backward()
        if settings.max_grad_norm:
            torch.nn.utils.clip_grad_norm_([p for p in own.values() if p.requires_grad], settings.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(found.loss.item())
    return losses, {name: p.detach() for name, p in own.items()}


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("strategy", ["layernorm", "full"])
def test_fifty_steps_equal_a_plain_loop(model_type, loop, strategy):
    run = tiny.run(strategy, 2e-3, seed=3, steps=50, dropout=0.0, **LOOPS[loop])
    cohort = tiny.cohort(tiny.backbone(model_type), [run])
    start = {name: t if t.ndim == len(cohort.network.anatomy.by_name[name].shape) else t[0]
             for name, t in cohort.assembly.start.items()}  # fmt: skip
    trainable = [p.name for p in cohort.assembly.pieces]
    state = tiny.trained(cohort)
    model = stock_classifier(model_type, start)
    losses, weights = plain_loop(model_type, model, run, cohort.data[0].train, trainable, 50)
    ours = cohort.assembly.values(state.flat.detach())
    for name in trainable:
        torch.testing.assert_close(ours[name][0], weights[stock_name(model_type, name)], rtol=0, atol=1e-9)
    assert state.histories[0].training[-1]["loss"] == pytest.approx(losses[-1], abs=1e-9)


@pytest.mark.parametrize("restored", [False, True])
def test_outputs_are_kept_of_the_evaluation_that_counts(restored):
    """They are what predictions are written from: the last evaluation's, or the best's where that is restored."""
    runs = [
        tiny.run("full", rate, steps=6, evaluate_every="2 steps", restore_best=restored) for rate in (1e-3, 1e-2, 3e-2)
    ]
    state = tiny.trained(tiny.cohort(tiny.backbone("bert", initializer_range=0.3), runs, "regression"))
    steps = [history.best_step if restored else 6 for history in state.histories]
    if restored:
        assert len(set(steps)) > 1  # the first one is not always the best
    for history, scored, step in zip(state.histories, state.scored, steps, strict=True):
        of_step = next(entry for entry in history.evaluations if entry["step"] == step)
        assert scored["validation"].loss == of_step["loss"]
