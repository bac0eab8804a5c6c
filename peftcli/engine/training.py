"""The training loop: a cohort's runs step together, each with its own order, dropout, clip norm, schedule and end.

Nothing a run computes depends on another run's values: products are per run or shared by rows, sums stay inside a row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from peftcli.engine import optimizer, parallel
from peftcli.engine.batches import Batch
from peftcli.engine.cohort import Cohort
from peftcli.engine.evaluation import Scored, collapsed, measure, score
from peftcli.engine.optimizer import Moments
from peftcli.noise import step_keys
from peftcli.strategies.tuning import Moment


@dataclass
class History:
    """What one run has to tell: losses and evaluations so far, its best evaluation, and how it ended."""

    training: list[dict[str, Any]] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    best_step: int = 0
    without_gain: int = 0
    ended: int | None = None  # the step it ended at
    diverged: int | None = None  # the step its loss or values were no longer finite at


@dataclass
class State:
    """What moves while a cohort trains; with the cohort it is all that is needed to go on.

    `flat`, `moments` and `best` (the best evaluation's values, where they are restored) are [runs, n]; `pending` the
    training losses [runs] of the steps since the last one written down; `tokens` counts real tokens computed. It is
    changed under its `lock` alone, so whoever holds that can save it, in the middle of an update or evaluation too.
    """

    flat: Tensor
    moments: Moments
    best: Tensor | None
    histories: list[History]
    step: int = 0
    tokens: int = 0
    slots: int = 0  # tokens computed, those that only fill up shorter runs included
    pending: list[Tensor] = field(default_factory=list)
    scored: list[dict[str, Scored]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)


def begin(cohort: Cohort) -> State:
    """Give the state before the first update."""
    flat = cohort.assembly.flat.clone().requires_grad_()
    best = flat.detach().clone() if cohort.training.restore_best else None
    count = len(cohort.runs)
    return State(
        flat, optimizer.moments(flat), best, [History() for _ in range(count)], scored=[{} for _ in range(count)]
    )


def train(cohort: Cohort, state: State) -> Iterator[State]:
    """Train until every run has ended, then evaluate what is left to evaluate.

    Yields the state after every update (and once at the end), so that whoever asks can show progress, save it or stop.
    """
    _evaluate_due(cohort, state)  # a state saved during an evaluation goes on with it
    while state.step < cohort.total and any(h.ended is None for h in state.histories):
        advance(cohort, state)
        _evaluate_due(cohort, state)
        yield state
    _finish(cohort, state)
    yield state


def advance(cohort: Cohort, state: State) -> None:
    """Make one update of every run that has not ended, and write the loss down where it is due."""
    batch = cohort.batch(state.step)
    loss = cohort.loss(state.flat, state.step, batch)
    if state.flat.numel():
        loss.sum().backward()
        assert state.flat.grad is not None
        parallel.add(state.flat.grad)
    whole = parallel.add(loss.detach())
    with state.lock:
        if state.flat.numel():
            gradient = state.flat.grad
            assert gradient is not None
            optimizer.clip(gradient, cohort.training.max_grad_norm)
            _update(cohort, state, gradient)
            state.flat.grad = None
        state.pending.append(whole)
        state.tokens += batch.tokens
        state.slots += batch.slots
        state.step += 1
        _write_losses(cohort, state)


def _update(cohort: Cohort, state: State, gradient: Tensor) -> None:
    factors = [own.rate(state.step) for own in cohort.schedules]
    rates = [run.learning_rate * factor for run, factor in zip(cohort.runs, factors, strict=True)]
    ended = [i for i, history in enumerate(state.histories) if history.ended is not None]
    kept = state.flat.detach()[ended].clone() if ended else None
    column = torch.tensor(rates, dtype=state.flat.dtype, device=cohort.device)[:, None]
    flat = state.flat.detach()
    optimizer.update(flat, gradient, state.moments, state.step + 1, column, cohort.training, cohort.decayed)
    tuning = cohort.assembly.tuning
    if tuning.after_step is not None:
        moment = Moment(state.step, True, cohort.keys)
        with torch.no_grad():
            tuning.after_step(cohort.assembly.values(flat), cohort.assembly.start, moment)
    if kept is not None:
        flat[ended] = kept


def _write_losses(cohort: Cohort, state: State) -> None:
    """Write down the mean loss since the last time, where a run's schedule says so, and find runs that diverged."""
    if not any(own.logged(state.step) for own in cohort.schedules):
        return
    losses = torch.stack(state.pending).double().cpu()
    finite = torch.isfinite(state.flat.detach().sum(1)).cpu()
    first = state.step - len(state.pending)
    for run, (history, own) in enumerate(zip(state.histories, cohort.schedules, strict=True)):
        if history.ended is not None:
            continue
        bad = (~torch.isfinite(losses[:, run])).nonzero()[:, 0]
        if len(bad) or not finite[run]:
            history.diverged = history.ended = first + int(bad[0]) + 1 if len(bad) else state.step
            continue
        rate = cohort.runs[run].learning_rate * own.rate(state.step - 1)
        epoch = state.step / own.epoch
        history.training.append(
            {"step": state.step, "epoch": epoch, "loss": float(losses[:, run].mean()), "learning_rate": rate}
        )
    state.pending.clear()


def _evaluate_due(cohort: Cohort, state: State) -> None:
    """Evaluate the runs whose schedule says so after this update, on the splits a best evaluation may be chosen by."""
    due = [
        i for i, (own, h) in enumerate(zip(cohort.schedules, state.histories, strict=True))
        if h.ended is None and (state.step in own.evaluations or state.step == own.total)
        and not (h.evaluations and h.evaluations[-1]["step"] == state.step)
    ]  # fmt: skip
    if not due:
        return
    splits = [name for name in cohort.data[0].evaluation if not name.startswith("test")]
    moment = Moment(state.step, False, step_keys(cohort.keys, state.step))
    scored = {split: _score(cohort, state, split, moment) for split in splits}
    with state.lock:
        for split, found in scored.items():
            _write_evaluation(cohort, state, split, found, due, state.step)
        for run in due:
            _choose(cohort, state, run)


def _choose(cohort: Cohort, state: State, run: int) -> None:
    """Note a run's best evaluation, and end the run where it is done."""
    history, training = state.histories[run], cohort.training
    if history.ended is not None:
        return
    found = next(e for e in reversed(history.evaluations) if e["split"] == cohort.data[run].chooser)
    value = found[training.metric or cohort.data[run].metrics[0]]
    if history.best is None or value > history.best:
        history.best, history.best_step, history.without_gain = value, state.step, 0
        if state.best is not None:
            state.best[run] = state.flat.detach()[run]
    else:
        history.without_gain += 1
    patience = training.early_stopping
    if state.step >= cohort.schedules[run].total or (patience and history.without_gain >= patience):
        history.ended = state.step


def last_evaluated(cohort: Cohort, state: State) -> Moment:
    """Give each run's own moment of its last (or, where it is restored, its best) evaluation in an ended cohort.

    What a strategy draws at evaluation is drawn by it, so it is the same whenever the other runs end.
    """
    steps = [state.step if state.best is None else history.best_step for history in state.histories]
    keys = [step_keys(cohort.keys[run : run + 1], step) for run, step in enumerate(steps)]
    return Moment(state.step, False, torch.cat(keys))


def _score(cohort: Cohort, state: State, split: str, moment: Moment) -> list[Scored]:
    """Give every run's outputs on a split at the state's values."""
    data = [own.evaluation[split] for own in cohort.data]
    tensors = cohort.assembly.tensors(state.flat.detach(), moment)

    def forward(batch: Batch) -> Tensor:
        return cohort.network.call(tensors, {}, batch)

    return score(forward, data, cohort.data[0].kind, cohort.network.first_position, cohort.device)


def _write_evaluation(
    cohort: Cohort, state: State, split: str, scored: list[Scored], due: list[int], step: int | None
) -> None:
    """Write a split's evaluation down for the runs it is due for (at their best step if None)."""
    kind = cohort.data[0].kind
    for run in due:
        history, found, own = state.histories[run], scored[run], cohort.data[run]
        at = history.best_step if step is None else step
        entry = {"step": at, "epoch": at / cohort.schedules[run].epoch, "split": split, "loss": found.loss}
        if not _finite(found):
            history.diverged = history.ended = at
            continue
        entry |= measure(found, own.evaluation[split], kind, own.metrics, own.labels)
        history.evaluations.append(entry | {"collapsed": collapsed(found, kind)})
        if state.best is None or history.best_step == at or history.best is None:
            state.scored[run][split] = found


def _finish(cohort: Cohort, state: State) -> None:
    """Go back to each run's best values where the protocol says so, and evaluate the test splits, once."""
    if state.best is not None:
        with torch.no_grad(), state.lock:
            state.flat.copy_(state.best)
    for split in [name for name in cohort.data[0].evaluation if name.startswith("test")]:
        due = [
            run for run, history in enumerate(state.histories)
            if history.diverged is None and all(entry["split"] != split for entry in history.evaluations)
        ]  # fmt: skip
        if due:
            found = _score(cohort, state, split, last_evaluated(cohort, state))
            with state.lock:
                _write_evaluation(cohort, state, split, found, due, None if state.best is not None else state.step)


def _finite(found: Scored) -> bool:
    import numpy as np

    return bool(np.isfinite(found.logits).all()) and bool(np.isfinite(found.loss))
