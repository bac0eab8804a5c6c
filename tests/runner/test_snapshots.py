"""Smaller cohorts go on from a larger one's rows, in memory or in its file: to the bit as if stopped there, and rightly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli.engine import training
from peftcli.engine.cohort import Cohort, Data
from peftcli.engine.state import State
from peftcli.runner import snapshots
from peftcli.runner.checkpoints import Checkpoints
from tests import tiny
from tests.runner.test_checkpoints import finished, outcome

RUNS = ((1e-2, 0), (3e-3, 1), (1e-2, 2), (3e-3, 5), (1e-3, 7))
BERNOULLI = {"share": 0.01, "draw": "bernoulli"}  # each run draws another number of elements: some rows have dead slots
STRATEGIES: dict[str, dict[str, Any] | None] = {
    "layernorm": None, "random": BERNOULLI, "diffpruning": None, "full": None, "lora": None, "mixout": None,
    "magpruning": {"share": 0.05, "burn_in": 9},
}  # fmt: skip
WHOLE = ("lora", "mixout", "magpruning")  # in `make test-all` alone
STOPPED = 7  # not at an evaluation, with losses that wait to be written down


@pytest.fixture(autouse=True)
def _losses_wait_to_be_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peftcli.experiment.schedule.LOGGED", 4)


def made(strategy: str, rows: slice) -> Cohort:
    """Some of five runs, with data of unequal lengths, dropout, a best evaluation to go back to, and a test split."""
    evaluation = {"validation": tiny.examples("pair", 9, 1), "test": tiny.examples("pair", 7, 2)}
    own = Data(tiny.examples("pair", 18), evaluation, "validation", "pair", ("no", "yes"), ("accuracy",))
    more = {"steps": 20, "evaluate_every": "2 steps", "early_stopping": 4, "restore_best": True, "dropout": 0.1}
    runs = [tiny.run(strategy, rate, seed, STRATEGIES[strategy], **more) for rate, seed in RUNS[rows]]
    return tiny.cohort(tiny.backbone("bert"), runs, own=own)


def stopped(cohort: Cohort) -> State:
    state = training.begin(cohort)
    for _ in training.train(cohort, state):
        if state.step == STOPPED:
            break
    return state


@pytest.mark.parametrize(
    "strategy", [pytest.param(s, marks=[pytest.mark.whole] if s in WHOLE else []) for s in STRATEGIES]
)
def test_rows_of_a_larger_cohort_go_on(strategy: str, tmp_path: Path) -> None:
    whole = made(strategy, slice(None))
    state = stopped(whole)
    assert state.pending
    assert state.best is not None
    Checkpoints(tmp_path, whole, 600).save(state)
    kept, before = Checkpoints(tmp_path, whole, 600).snapshot(state), outcome(state)
    parts = {(row.start, row.stop): made(strategy, row) for row in (slice(0, 3), slice(3, 5))}
    ended = {}
    for rows, part in parts.items():
        in_memory = Checkpoints(tmp_path / "empty", part, 600).resume(kept)
        in_file = Checkpoints(tmp_path, part, 600).resume()
        assert in_memory is not None
        assert in_file is not None
        assert outcome(in_memory) == outcome(in_file)
        assert in_memory.tokens == stopped(part).tokens
        assert in_memory.seconds == pytest.approx(kept.state.seconds * len(part.runs) / 5)
        assert finished(part, in_memory) == finished(part, in_file)
        ended[rows] = in_memory
    assert outcome(state) == before  # what is kept is not touched by who goes on from it
    finished(whole, state)
    expected = whole.assembly.effective(state.flat.detach())
    for (first, stop), found in ended.items():
        weights = parts[first, stop].assembly.effective(found.flat.detach())
        assert weights.keys() <= expected.keys()
        for name, tensor in weights.items():
            assert float((tensor - expected[name][first:stop]).abs().max()) < 1e-9, name
        for history, undisturbed in zip(found.histories, state.histories[first:stop], strict=True):
            assert (history.ended, history.best_step) == (undisturbed.ended, undisturbed.best_step)
            for entries in ("training", "evaluations"):
                pairs = zip(getattr(history, entries), getattr(undisturbed, entries), strict=True)
                assert all(entry == pytest.approx(other, abs=1e-9) for entry, other in pairs)


def test_dead_slots_are_what_a_smaller_cohort_has_fewer_of() -> None:
    """Else the test above would show nothing of cutting columns."""
    widths = [made("random", rows).assembly.flat.shape[1] for rows in (slice(None), slice(0, 3), slice(3, 5))]
    assert widths[0] > min(widths)


def test_values_and_moments_are_the_rows_to_the_bit(tmp_path: Path) -> None:
    whole, part = made("layernorm", slice(None)), made("layernorm", slice(3, 5))
    state = stopped(whole)
    found = Checkpoints(tmp_path, part, 600).resume(Checkpoints(tmp_path, whole, 600).snapshot(state))
    assert found is not None
    assert found.best is not None
    assert state.best is not None
    for cut, tensor in (
        (found.flat, state.flat), (found.moments.mean, state.moments.mean), (found.moments.square, state.moments.square),
        (found.best, state.best), (torch.stack(found.pending, 1), torch.stack(state.pending, 1)),
    ):  # fmt: skip
        assert torch.equal(cut.detach(), tensor.detach()[3:5])
    assert found.flat.requires_grad
    assert (found.step, found.histories) == (STOPPED, state.histories[3:5])
    assert found.slots == state.slots * 2 // 5


def test_a_row_of_other_data_or_another_model_is_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, part = made("layernorm", slice(None)), made("layernorm", slice(3, 5))
    saved = Checkpoints(tmp_path, whole, 600, list("abcde"))
    saved.save(stopped(whole))
    assert Checkpoints(tmp_path, part, 600, ["d", "e"]).resume() is not None
    assert capsys.readouterr().err == ""
    assert Checkpoints(tmp_path, part, 600, ["d", "other"]).resume() is None
    said = capsys.readouterr().err
    assert (
        said
        == f"{saved.path} comes from another model or tokenizer, other data or another version: these runs start over\n"
    )
    elsewhere = made("layernorm", slice(1, 5))
    assert (
        Checkpoints(tmp_path / "no", elsewhere, 600).resume(Checkpoints(tmp_path, part, 600).snapshot(stopped(part)))
        is None
    )


def test_what_an_earlier_version_wrote_has_no_origin() -> None:
    from safetensors.torch import save

    assert snapshots.decode(save({"flat": torch.zeros(1)}, {"state": "{}"})) is None


def test_penalties_that_wait_go_along_and_an_older_state_s_losses_with_them_in_are_not_gone_on_from(
    tmp_path: Path,
) -> None:
    cohort = made("diffpruning", slice(0, 2))
    state = stopped(cohort)
    checkpoints = Checkpoints(tmp_path, cohort, 600)
    read = snapshots.decode(snapshots.encode(checkpoints.snapshot(state)))
    assert read is not None
    assert torch.equal(torch.stack(read.state.penalties), torch.stack(state.penalties))
    assert len(read.state.penalties) == len(read.state.pending) > 0
    older = replace(read.origin, made_from=[part for part in read.origin.made_from if part != "penalty apart"])
    assert read.origin.serves(checkpoints.origin)
    assert not older.serves(checkpoints.origin)
    others = [Checkpoints(tmp_path, made(name, slice(0, 2)), 600).origin.made_from for name in ("layernorm", "full")]
    assert all(len(made_from) == 4 for made_from in others)  # theirs go on as before
