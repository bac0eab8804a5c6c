"""The loop equals a plain torch loop over the stock padded model; a cohort equals its runs alone; masks hold to the bit."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from peftcli.engine import training
from peftcli.engine.batches import build, chosen
from peftcli.engine.evaluation import run_losses
from peftcli.report.table import selection
from peftcli.strategies.tuning import Moment
from tests import tiny

LOOPS = {
    "adam": {"optimizer": "adam", "epsilon": 1e-6, "max_grad_norm": None},
    "adamw": {"optimizer": "adamw", "epsilon": 1e-8, "weight_decay": 0.01, "max_grad_norm": 1.0},
    "constant": {"optimizer": "adam", "schedule": "constant", "warmup_ratio": 0.0, "max_grad_norm": 0.5},
    "cosine": {"optimizer": "adamw", "schedule": "cosine", "warmup_ratio": 0.2, "max_grad_norm": 1.0},
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
    from transformers import (
        get_constant_schedule_with_warmup,
        get_cosine_schedule_with_warmup,
        get_linear_schedule_with_warmup,
    )

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
    elif settings.schedule == "cosine":
        scheduler = get_cosine_schedule_with_warmup(optimizer, warmup, steps)
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


def test_of_equally_good_evaluations_the_first_or_the_last_is_gone_back_to():
    """At a rate that changes no answer all evaluations have one accuracy; the weights go on moving all the same."""
    kept = {}
    for ties in ("first", "last"):
        settings = {"steps": 8, "evaluate_every": "2 steps", "restore_best": True, "ties": ties}
        run = tiny.run("full", 1e-7, metric="accuracy", **settings)
        kept[ties] = tiny.trained(tiny.cohort(tiny.backbone("bert"), [run], "pair"))
        history = kept[ties].histories[0]
        assert len({e["accuracy"] for e in history.evaluations}) == 1
        steps, counted = [e["step"] for e in history.evaluations], {"first": 2, "last": 8}[ties]
        assert (steps, history.best_step) == ([2, 4, 6, 8], counted)
        chosen = selection.counted(history.evaluations, run.protocol, "accuracy")
        assert chosen["validation"]["step"] == counted, "a report reads the evaluation whose weights were kept"
    assert not torch.equal(kept["first"].flat, kept["last"].flat)


@pytest.mark.parametrize("ties", ["first", "last"])
def test_a_tie_is_no_gain(ties):
    settings = {"steps": 20, "evaluate_every": "1 step", "restore_best": True, "early_stopping": 3, "ties": ties}
    run = tiny.run("full", 1e-7, metric="accuracy", **settings)
    history = tiny.trained(tiny.cohort(tiny.backbone("bert"), [run], "pair")).histories[0]
    assert history.ended == 4  # the first evaluation, and three without a gain


@pytest.mark.parametrize("strategy", ["full", "lora", "random", "mixout"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_batch_without_a_labelled_word_has_no_loss_and_no_gradient(strategy: str, dropout: float) -> None:
    """What a plain loop finds that sums the words' losses and divides by their number, where there is one."""
    data = tiny.data("token")
    data = replace(data, train=tiny.without_words(data.train, range(8)))
    counts = np.diff(data.train.word_starts)
    runs = [tiny.run(strategy, 5e-3, seed, steps=9, dropout=dropout, epsilon=1e-6) for seed in (0, 1)]
    model = tiny.backbone("roberta")
    cohort = tiny.cohort(model, runs, "token", data)
    state, bare = training.begin(cohort), 0
    for step in range(9):
        batch = cohort.batch(step)
        losses = cohort.loss(state.flat, step, batch).total
        (gradient,) = torch.autograd.grad(losses.sum(), state.flat)
        for run in range(2):
            words = counts[chosen(runs[run].seed, step, 12, 4)].sum()
            assert (float(losses[run].detach()) > 0.1) == (words > 0)
            assert bool(gradient[run].any()) == (words > 0)
            assert bool(torch.isfinite(gradient[run]).all())
            bare += not words
        training.advance(cohort, state)
    assert bare == 4  # of 18; in one step both
    for row, run in enumerate(runs):  # and a run beside one with words finds what it finds alone
        alone = tiny.trained(tiny.cohort(model, [run], "token", data))
        expected = [entry["loss"] for entry in alone.histories[0].training]
        found = [entry["loss"] for entry in state.histories[row].training]
        assert found == pytest.approx(expected, abs=1e-9)
        assert (len(found), 0.0 in found) == (9, True)


def test_a_penalty_is_written_down_apart_from_the_task_s_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else diff pruning's curve would be of its gates: 0.99 of its first loss are they."""
    monkeypatch.setattr("peftcli.experiment.schedule.LOGGED", 3)  # four updates together
    options = {"share": 0.05, "burn_in": 6, "penalty": 2.0}
    runs = [tiny.run("diffpruning", 2e-2, seed, options, steps=12, evaluate_every="4 steps") for seed in (0, 1)]
    cohort = tiny.cohort(tiny.backbone("bert"), runs)
    assert cohort.assembly.tuning.penalty is not None
    state = training.begin(cohort)
    tasks, gates = [], []
    for step in range(12):
        values = cohort.assembly.values(state.flat.detach())
        moment = Moment(step, True, torch.zeros(2, dtype=torch.int32))
        noise, keys = cohort.noise(step, cohort.batch(step))
        tensors = cohort.assembly.tensors(state.flat.detach(), Moment(step, True, keys))
        logits = cohort.network.call(tensors, noise, cohort.batch(step))
        tasks.append(run_losses(logits, cohort.batch(step), "pair"))
        gates.append(cohort.assembly.tuning.penalty(values, moment))
        training.advance(cohort, state)
    expected = {"loss": torch.stack(tasks).view(3, 4, 2).mean(1), "penalty": torch.stack(gates).view(3, 4, 2).mean(1)}
    assert float(gates[0][0]) == pytest.approx(2 / (1 + math.exp(-5)))
    assert float(gates[-1][0]) == pytest.approx(2 * 0.05, rel=0.1)  # chosen: a share of them is open
    for row, history in enumerate(state.histories):
        assert [entry["step"] for entry in history.training] == [4, 8, 12]
        for name, means in expected.items():
            assert [entry[name] for entry in history.training] == pytest.approx(means[:, row].tolist(), abs=1e-9)
    alone = tiny.trained(tiny.cohort(tiny.backbone("bert"), runs[:1])).histories[0].training
    assert all(a == pytest.approx(b, abs=1e-9) for a, b in zip(alone, state.histories[0].training, strict=True))


def test_a_strategy_without_a_penalty_writes_none() -> None:
    history = tiny.trained(tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm", steps=3)])).histories[0]
    assert [sorted(entry) for entry in history.training] == [["epoch", "learning_rate", "loss", "step"]] * 3


@pytest.mark.parametrize("restored", [False, True])
def test_what_a_run_trains_on_is_evaluated_once_with_the_weights_that_are_tested(restored: bool) -> None:
    data = tiny.data("pair", 14)
    own = replace(data, evaluation={**data.evaluation, "test": tiny.examples("pair", 7, 3), "train": data.train})
    settings = {"steps": 12, "evaluate_every": "2 steps", "restore_best": restored, "evaluate_train": "end"}
    runs = [tiny.run("layernorm", rate, seed, **settings) for rate, seed in ((3e-2, 0), (1e-2, 1), (3e-1, 2))]
    model = tiny.backbone("bert")
    cohort = tiny.cohort(model, runs, own=own)
    state = tiny.trained(cohort)
    with torch.no_grad():
        outputs = cohort.forward(state.flat.detach(), state.step)(
            build([(data.train, np.arange(14))] * 3, cohort.network.reading, cohort.device)
        )
    right = (outputs.argmax(2).numpy() == data.train.labels).mean(1)
    if restored:
        assert min(history.best_step for history in state.histories) < 12  # not the last weights
    for row, history in enumerate(state.histories):
        splits = [entry["split"] for entry in history.evaluations]
        assert splits == ["validation"] * 6 + ["test", "train"]  # never while training
        test, train = history.evaluations[-2:]
        assert train["step"] == test["step"] == (history.best_step if restored else 12)
        assert train["accuracy"] == right[row]
        assert "train" not in state.scored[row]  # predictions are of examples that were not trained on
        alone = tiny.trained(tiny.cohort(model, [runs[row]], own=own)).histories[0].evaluations[-1]
        assert train == pytest.approx(alone, abs=1e-9)
