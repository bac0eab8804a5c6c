"""The training loop: a cohort's runs step together, each with its own order, dropout, clip norm, schedule and end.

Nothing a run computes depends on another run's values: products are per run or shared by rows, sums stay inside a row.
"""

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from peftcli.engine import optimizer, parallel
from peftcli.engine.batches import Batch
from peftcli.engine.cohort import Cohort
from peftcli.engine.evaluation import Scored, collapsed, measure, score
from peftcli.engine.state import History, State
from peftcli.engine.transfer import move
from peftcli.noise import step_keys
from peftcli.strategies.tuning import Moment

Measured = dict[int, tuple[Scored, dict[str, Any] | None]]  # by row outputs and numbers, None where one is not finite


def begin(cohort: Cohort) -> State:
    """The state before the first update."""
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
    batch, task, penalty = _add_gradients(cohort, state)
    with state.changing():
        if state.flat.numel():
            gradient = state.flat.grad
            assert gradient is not None
            optimizer.clip(gradient, cohort.training.max_grad_norm)
            _update(cohort, state, gradient)
            state.flat.grad = None
        state.pending.append(task)
        if penalty is not None:
            state.penalties.append(penalty)
        state.tokens += batch.tokens
        state.slots += batch.slots
        state.step += 1
        _write_losses(cohort, state)


def _add_gradients(cohort: Cohort, state: State) -> tuple[Batch, Tensor, Tensor | None]:
    """Add up the gradients of a batch's parts, and of all processes, in `flat.grad`.

    Returns the last of the parts, and the whole batch's losses and penalties, [runs] each.
    """
    tasks, penalties = [], []
    for batch in cohort.batches(state.step):
        loss = cohort.loss(state.flat, state.step, batch)
        if state.flat.numel():
            # A run's loss depends on its own row alone, so the sum's gradient holds every run's.
            loss.total.sum().backward()
        tasks.append(loss.task.detach())
        penalties += [] if loss.penalty is None else [loss.penalty.detach()]
    if state.flat.numel():
        assert state.flat.grad is not None
        # Before clipping: a norm is of the whole batch's gradient, not of a part's.
        parallel.add(state.flat.grad)
    # One after another: a batch in one piece, which most are, launches nothing for it.
    task = parallel.add(reduce(torch.add, tasks))
    return batch, task, parallel.add(reduce(torch.add, penalties)) if penalties else None


def _update(cohort: Cohort, state: State, gradient: Tensor) -> None:
    """Move every run's row by its gradient [runs, n], except rows of runs that have ended."""
    factors = [schedule.rate(state.step) for schedule in cohort.schedules]
    rates = [run.learning_rate * factor for run, factor in zip(cohort.runs, factors, strict=True)]
    # The optimizer moves the whole matrix, which is faster than rows picked out of it; ended rows are put back.
    ended = [run for run, history in enumerate(state.histories) if history.ended is not None]
    told = move({"rates": np.array(rates), "ended": np.array(ended, np.int64)}, cohort.device)
    flat = state.flat.detach()
    kept = flat.index_select(0, told["ended"]) if ended else None
    column = told["rates"].to(flat.dtype)[:, None]
    optimizer.update(flat, gradient, state.moments, state.step + 1, column, cohort.training, cohort.decay)
    tuning = cohort.assembly.tuning
    if tuning.after_step is not None:
        moment = Moment(state.step, True, cohort.keys)
        with torch.no_grad():
            tuning.after_step(cohort.assembly.values(flat), cohort.assembly.start, moment)
    if kept is not None:
        flat.index_copy_(0, told["ended"], kept)


def _write_losses(cohort: Cohort, state: State) -> None:
    """Write down the mean loss since the last time, where a run's schedule says so, and find runs that diverged."""
    if not any(state.step in schedule.losses for schedule in cohort.schedules):
        return
    # Losses stay on the device until now: reading one at every step would make the processor wait for the GPU.
    parts = {"loss": torch.stack(state.pending).double().cpu()}  # [steps, runs]
    if state.penalties:  # apart, or a curve would show gates that close as a task that is learnt
        parts["penalty"] = torch.stack(state.penalties).double().cpu()
    bad_steps = ~torch.isfinite(torch.stack(list(parts.values())).sum(0))
    finite = torch.isfinite(state.flat.detach().sum(1)).cpu()
    first = state.step - len(state.pending)
    for run, (history, schedule) in enumerate(zip(state.histories, cohort.schedules, strict=True)):
        if history.ended is not None:
            continue
        bad = bad_steps[:, run].nonzero()[:, 0]  # the steps
        if len(bad) or not finite[run]:
            history.diverged = history.ended = first + int(bad[0]) + 1 if len(bad) else state.step
            continue
        means = {name: float(losses[:, run].mean()) for name, losses in parts.items()}
        rate = cohort.runs[run].learning_rate * schedule.rate(state.step - 1)
        when = {"step": state.step, "epoch": state.step / schedule.epoch}
        history.training.append({**when, **means, "learning_rate": rate})
    state.pending.clear()
    state.penalties.clear()


def _evaluate_due(cohort: Cohort, state: State) -> None:
    """Evaluate the runs whose schedule says so after this update, on the splits a best evaluation may be chosen by."""
    due = [
        run for run, (schedule, history) in enumerate(zip(cohort.schedules, state.histories, strict=True))
        if history.ended is None and (state.step in schedule.evaluations or state.step == schedule.total)
        and not (history.evaluations and history.evaluations[-1]["step"] == state.step)
    ]  # fmt: skip
    if not due:
        return
    splits = [name for name in cohort.data[0].evaluation if name not in cohort.data[0].at_end]
    moment = Moment(state.step, False, step_keys(cohort.keys, state.step))
    # Measured before anything is written down: what a metric raises leaves the state as it was.
    measured = {split: _measure(cohort, _score(cohort, state, split, moment), split, due) for split in splits}
    with state.changing():
        for split, of_runs in measured.items():
            _write_evaluation(cohort, state, split, of_runs, state.step)
        for run in due:
            _choose(cohort, state, run)
            _keep_outputs(state, run, {split: of_runs[run][0] for split, of_runs in measured.items()})


def _choose(cohort: Cohort, state: State, run: int) -> None:
    """Note a run's best evaluation, and end the run where it is done."""
    history, training = state.histories[run], cohort.training
    if history.ended is not None:
        return
    evaluation = next(e for e in reversed(history.evaluations) if e["split"] == cohort.data[run].chooser)
    value = evaluation[training.metric or cohort.data[run].metrics[0]]
    gain = history.best is None or value > history.best
    # A tie is no gain, so patience runs on; but it may be the evaluation to go back to.
    history.without_gain = 0 if gain else history.without_gain + 1
    if gain or (training.ties == "last" and value == history.best):
        history.best, history.best_step = value, state.step
        if state.best is not None:
            state.best[run] = state.flat.detach()[run]
    patience = training.early_stopping
    if state.step >= cohort.schedules[run].total or (patience and history.without_gain >= patience):
        history.ended = state.step


def last_evaluated(cohort: Cohort, state: State) -> Moment:
    """Each run's own moment of its last (or, where it is restored, its best) evaluation in an ended cohort.

    What a strategy draws at evaluation is drawn by it, so it is the same whenever the other runs end.
    """
    steps = [state.step if state.best is None else history.best_step for history in state.histories]
    keys = [step_keys(cohort.keys[run : run + 1], step) for run, step in enumerate(steps)]
    return Moment(state.step, False, torch.cat(keys))


def _score(cohort: Cohort, state: State, split: str, moment: Moment) -> list[Scored]:
    """Every run's outputs on a split at the state's values."""
    splits = [data.evaluation[split] for data in cohort.data]
    tensors = cohort.assembly.tensors(state.flat.detach(), moment)

    def forward(batch: Batch) -> Tensor:
        return cohort.network.call(tensors, {}, batch)  # no noise: dropout is off

    network = cohort.network
    return score(forward, splits, cohort.data[0].kind, network.reading, cohort.device, network.lookups)


def _measure(cohort: Cohort, scored: list[Scored], split: str, due: list[int]) -> Measured:
    """What the runs that are due have to show on a split."""
    kind, measured = cohort.data[0].kind, Measured()
    for run in due:
        outputs, data = scored[run], cohort.data[run]
        # Before any metric, which would raise; a run that has diverged does not touch its neighbours.
        if not np.isfinite(outputs.logits).all() or not np.isfinite(outputs.loss):
            measured[run] = outputs, None
            continue
        numbers = measure(outputs, data.evaluation[split], kind, data.metrics, data.labels)
        measured[run] = outputs, {"loss": outputs.loss, **numbers, "collapsed": collapsed(outputs, kind)}
    return measured


def _write_evaluation(cohort: Cohort, state: State, split: str, measured: Measured, step: int | None) -> None:
    """Write a split's evaluation down for the runs that were measured (at their best step if None)."""
    for run, (_, numbers) in measured.items():
        history = state.histories[run]
        at = history.best_step if step is None else step
        if numbers is None:
            history.diverged = history.ended = at
            continue
        history.evaluations.append({"step": at, "epoch": at / cohort.schedules[run].epoch, "split": split, **numbers})


def _keep_outputs(state: State, run: int, outputs: dict[str, Scored]) -> None:
    """Keep a run's outputs by split, for its predictions, if they are of the evaluation that counts.

    That is the last one, or the best where that is restored; which one is best is known once all splits are evaluated.
    """
    history = state.histories[run]
    if history.diverged is None and (state.best is None or history.best_step == state.step):
        state.scored[run] |= outputs


def _finish(cohort: Cohort, state: State) -> None:
    """Go back to each run's best values where the protocol says so, and evaluate what is evaluated once."""
    if state.best is not None:
        with torch.no_grad(), state.changing():
            state.flat.copy_(state.best)
    for split in cohort.data[0].at_end:
        due = [
            run for run, history in enumerate(state.histories)
            if history.diverged is None and all(entry["split"] != split for entry in history.evaluations)
        ]  # fmt: skip
        if due:
            scored = _score(cohort, state, split, last_evaluated(cohort, state))
            measured = _measure(cohort, scored, split, due)
            with state.changing():
                _write_evaluation(cohort, state, split, measured, None if state.best is not None else state.step)
                for run, (outputs, numbers) in measured.items():
                    if numbers is not None and split != "train":  # predictions are of examples that were not trained on
                        state.scored[run][split] = outputs
