"""A state says whether an error left it torn, and its rows are copies."""

import pytest
import torch

from peftcli.engine import training
from tests import shortage, tiny


@pytest.mark.parametrize("place", shortage.PLACES)
def test_only_an_error_in_a_change_tears_it(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm", steps=4, evaluate_every="2 steps")])
    state = training.begin(cohort)
    training.advance(cohort, state)
    before = state.flat.detach().clone()
    shortage.install(monkeypatch, place, 2 if place == "evaluation" else 1, 0)
    with pytest.raises(torch.OutOfMemoryError):
        list(training.train(cohort, state))
    assert state.torn == (place == "update")
    assert state.lock.acquire(blocking=False)
    assert torch.equal(state.flat.detach(), before) == (place in ("forward", "backward"))


def test_a_metric_that_fails_leaves_the_state_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [tiny.run("layernorm", seed=seed, steps=4, evaluate_every="2 steps") for seed in range(2)]
    cohort = tiny.cohort(tiny.backbone("bert"), runs)
    state, measure, calls = training.begin(cohort), training.measure, []

    def failing(*arguments: object) -> dict[str, float]:
        calls.append(arguments)
        if len(calls) == 2:  # the second run's, after the first one's is there
            raise ArithmeticError("no such number")
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "measure", failing)
    with pytest.raises(ArithmeticError):
        list(training.train(cohort, state))
    assert (state.step, state.torn, [len(history.evaluations) for history in state.histories]) == (2, False, [0, 0])


def test_rows_share_nothing_with_the_state_they_are_cut_from() -> None:
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("layernorm", seed=seed, steps=4) for seed in range(3)])
    state = tiny.trained(cohort)
    flat, evaluations = state.flat.detach().clone(), [len(history.evaluations) for history in state.histories]
    part = state.rows([2, 0], [(0, 5), (7, 9)], tokens=11)
    assert torch.equal(part.flat.detach(), flat[[2, 0]][:, [0, 1, 2, 3, 4, 7, 8]])
    part.flat.data += 1
    part.moments.mean.add_(1)
    part.histories[0].evaluations.clear()
    assert torch.equal(state.flat.detach(), flat)
    assert [len(history.evaluations) for history in state.histories] == evaluations
    assert (part.tokens, part.slots, part.step) == (11, state.slots * 2 // 3, 4)
