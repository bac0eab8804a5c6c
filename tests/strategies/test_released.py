"""What the released code of effectiveness does otherwise than the text, as options: heads left or masked, late mixing."""

from typing import Any

import pytest
import torch

from peftcli.engine import training
from peftcli.engine.cohort import Cohort, Data
from peftcli.engine.training import State
from peftcli.experiment import parameters
from peftcli.experiment.run import Run
from peftcli.strategies.gated import GATE
from tests import tiny

HEAD = 768 * 768 + 768 + 2 * 768 + 2
FROZEN_HEAD = {"rank": 2, "targets": ["query", "key", "value", "attention_output", "intermediate", "output"]}


def trained(runs: list[Run], own: Data | None = None) -> tuple[Cohort, State]:
    cohort = tiny.cohort(tiny.backbone("bert"), runs, own=own)
    state = training.begin(cohort)
    for _ in training.train(cohort, state):
        pass
    return cohort, state


def head(cohort: Cohort, state: State, row: int) -> dict[str, torch.Tensor]:
    found = cohort.assembly.effective(state.flat.detach())
    return {name: value[row] for name, value in found.items() if name.startswith("head.")}


def lora(seed: int, train_head: bool) -> Run:
    return tiny.run("lora", 1e-2, seed, {**FROZEN_HEAD, "train_head": train_head}, weight_decay=0.1)


@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_a_head_that_does_not_train_stays_at_its_own_random_start(seeds: list[int]) -> None:
    cohort, state = trained([lora(seed, False) for seed in seeds])
    assert not [piece.name for piece in cohort.assembly.pieces if piece.name.startswith("head.")]
    for row, seed in enumerate(seeds):
        moving, _ = trained([lora(seed, True)])
        start = moving.assembly.values(moving.assembly.flat)
        own = head(cohort, state, row)
        assert own.keys() == {name for name in start if name.startswith("head.")}
        assert all(torch.equal(value, start[name][0]) for name, value in own.items())
    losses = [[entry["loss"] for entry in history.training] for history in state.histories]
    assert all(own[-1] != own[0] for own in losses)
    batch = cohort.batch(0)
    first = cohort.loss(cohort.assembly.flat, 0, batch).total
    for row, seed in enumerate(seeds):  # the frozen head is the one that the network computes with
        moving = tiny.cohort(tiny.backbone("bert"), [lora(seed, True)])
        assert float(first[row].detach()) == pytest.approx(
            float(moving.loss(moving.assembly.flat, 0, moving.batch(0)).total.detach()), abs=1e-9
        )


def test_a_frozen_head_is_not_counted() -> None:
    options: dict[str, Any] = {"rank": 8, "train_head": False}
    counts = parameters.count("roberta-base", "lora", options, "pair", 2, "pooled_dense")
    assert (counts.trainable, counts.head) == (12 * 2 * 8 * (768 + 768), 0)
    assert parameters.count("roberta-base", "lora", {"rank": 8}, "pair", 2, "pooled_dense").head == HEAD
    assert parameters.columns("roberta-base", "lora", {**options, "alpha": 16.0, "dropout": 0.0}, "pair", 2) == 294_912


def test_a_masked_head_moves_in_its_share_alone() -> None:
    options = {"share": 0.05, "burn_in": 4, "include_head": True}
    cohort, state = trained([tiny.run("diffpruning", 5e-3, seed, options, weight_decay=0.01) for seed in (0, 1)])
    for row in (0, 1):
        for name, value in head(cohort, state, row).items():
            start = cohort.assembly.start[name][row]
            assert cohort.assembly.tuning.kept[name] == int(0.05 * start.numel())
            assert int((value != start).sum()) == int(0.05 * start.numel()), name
    whole, _ = trained([tiny.run("diffpruning", 5e-3, 0, {"share": 0.05, "burn_in": 4})])
    assert GATE + "head.out.weight" in cohort.assembly.values(cohort.assembly.flat)
    assert GATE + "head.out.weight" not in whole.assembly.values(whole.assembly.flat)


def test_a_masked_head_is_counted_by_its_share() -> None:
    counts = parameters.count("roberta-base", "diffpruning", {"include_head": True}, "pair", 2, "pooled_dense")
    assert (counts.trainable, counts.head) == (623_111, 589_824 * 5 // 1000 + 768 * 5 // 1000 + 1536 * 5 // 1000)


def test_what_is_mixed_at_evaluation_does_not_depend_on_when_other_runs_end() -> None:
    """Runs that stop early at different steps are tested with the weights of their own best evaluation."""
    evaluation = {"validation": tiny.examples("pair", 9, 1), "test": tiny.examples("pair", 40, 2)}
    own = Data(tiny.examples("pair", 18), evaluation, "validation", "pair", ("no", "yes"), ("accuracy",))
    settings = {"evaluate_every": "2 steps", "early_stopping": 2, "restore_best": True, "steps": 40}
    runs = [
        tiny.run("mixout", rate, seed, {"share": 0.5, "when": "evaluation"}, **settings)
        for rate, seed in ((3e-2, 0), (1e-2, 1), (3e-3, 2))
    ]
    together = trained(runs, own)[1].histories
    assert len({history.ended for history in together}) > 1
    for history, run in zip(together, runs, strict=True):
        alone = trained([run], own)[1].histories[0]
        assert [entry["loss"] for entry in history.evaluations] == pytest.approx(
            [entry["loss"] for entry in alone.evaluations], abs=1e-9
        )


@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("lora", {**FROZEN_HEAD, "train_head": False}),
        ("diffpruning", {"share": 0.05, "burn_in": 4, "include_head": True}),
    ],
)
def test_a_cohort_equals_its_runs_alone(strategy: str, options: dict[str, Any]) -> None:
    runs = [
        tiny.run(strategy, rate, seed, options, dropout=0.1, weight_decay=0.01, epsilon=1e-6)
        for rate, seed in ((1e-3, 0), (3e-3, 0), (1e-3, 1))
    ]
    together, state = trained(runs)
    found = together.assembly.effective(state.flat.detach())
    for row, run in enumerate(runs):
        alone, own = trained([run])
        for name, value in alone.assembly.effective(own.flat.detach()).items():
            torch.testing.assert_close(found[name][row], value[0], rtol=0, atol=1e-9, msg=name)
