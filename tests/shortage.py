"""Memory that runs out at a chosen place of a chosen step, whenever more runs train together than fit."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from peftcli.engine import optimizer, parallel, training
from peftcli.engine.batches import Batch
from peftcli.engine.cohort import Cohort
from peftcli.engine.optimizer import Moments
from peftcli.engine.state import State
from peftcli.launchers import worker

PLACES = ("forward", "backward", "update", "evaluation")


def install(
    patch: pytest.MonkeyPatch,
    place: str,
    step: int,
    fits: int,
    error: Callable[[], BaseException] = lambda: torch.OutOfMemoryError("no room"),
    rank: int = 0,
) -> None:
    """Raise an error at a place (one of PLACES) of the update after so many steps, in one process of a group."""

    def short(runs: int, at: int) -> bool:
        return runs > fits and at == step and parallel.rank() == rank

    def fail(gradient: Tensor) -> None:
        raise error()

    loss_of, update, score = Cohort.loss, optimizer.update, training._score

    def loss(cohort: Cohort, flat: Tensor, at: int, batch: Batch) -> Tensor:
        if place == "forward" and short(len(flat), at):
            raise error()
        losses = loss_of(cohort, flat, at, batch)
        if place == "backward" and short(len(flat), at):
            losses.task.register_hook(fail)
        return losses

    def half_an_update(flat: Tensor, gradient: Tensor, moments: Moments, at: int, *rest: Any) -> None:
        if place == "update" and short(len(flat), at - 1):
            flat[:, ::2] += 1
            moments.mean.add_(gradient)
            raise error()
        update(flat, gradient, moments, at, *rest)

    def evaluated(cohort: Cohort, state: State, *rest: Any) -> Any:
        if place == "evaluation" and short(len(cohort.runs), state.step):
            raise error()
        return score(cohort, state, *rest)

    patch.setattr(Cohort, "loss", loss)
    patch.setattr(optimizer, "update", half_an_update)
    patch.setattr(training, "_score", evaluated)


def main() -> None:
    """Be a worker of a sweep in which memory runs out as SHORTAGE says; the updates of the first process go to a log."""
    place, step, fits, rank, log = os.environ["SHORTAGE"].split(":")
    patch, advance = pytest.MonkeyPatch(), training.advance

    def logged(cohort: Cohort, state: State) -> None:
        if parallel.rank() == 0:
            with open(log, "a") as stream:
                stream.write(f"{len(cohort.runs)} {state.step}\n")
        advance(cohort, state)

    patch.setattr(training, "advance", logged)
    install(patch, place, int(step), int(fits), rank=int(rank))
    worker.main()


if __name__ == "__main__":
    main()
