"""Outputs come back in the split's order, each example counted once, whatever the batches; losses are torch's own."""

import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from peftcli.engine import evaluation
from peftcli.engine.batches import Batch, build
from peftcli.engine.evaluation import Scored, collapsed, example_losses, run_losses, score, task_outputs
from peftcli.models.reach import Reading
from tests import tiny

CPU = torch.device("cpu")


def first_ids(batch: Batch) -> torch.Tensor:
    """Outputs that tell an example by what is read of it: its token's id and the square of that, [runs, read, 2]."""
    ids = batch.stream.ids.gather(1, batch.read_positions).double()
    return torch.stack([ids / 60, (ids / 60) ** 2], -1)


@pytest.mark.parametrize("tokens", [8, 60, 100_000])  # a batch is an example, a few, or everything
@pytest.mark.parametrize("kind", ["pair", "token", "choice"])
def test_outputs_are_in_the_splits_order_and_counted_once(
    monkeypatch: pytest.MonkeyPatch, kind: str, tokens: int
) -> None:
    monkeypatch.setitem(evaluation.TOKENS, "cpu", tokens)
    splits = [tiny.examples(kind, 12, 0), tiny.examples(kind, 7, 3)]  # the shorter one is filled up with repeats
    two_classes = [split if kind != "token" else _of_two_classes(split) for split in splits]

    def forward(batch: Batch) -> torch.Tensor:
        outputs = first_ids(batch)
        return outputs[..., :1] if kind == "choice" else outputs

    scored = score(forward, two_classes, kind, Reading(), CPU)
    for split, of_run in zip(two_classes, scored, strict=True):
        whole = build([(split, np.arange(len(split)))], Reading(), CPU)
        expected = task_outputs(forward(whole), kind)[0]
        assert np.array_equal(of_run.logits, expected.numpy())
        loss = F.cross_entropy(expected, torch.from_numpy(np.asarray(split.labels)))
        assert of_run.loss == pytest.approx(float(loss), abs=1e-12)


def _of_two_classes(split):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(split, labels=split.labels % 2)


@pytest.mark.parametrize("tokens", [8, 60, 100_000])
@pytest.mark.parametrize("bare", [[0, 1, 2], list(range(11)), [3, 8, 11]])
def test_sentences_without_a_word_that_is_read_are_scored_with_the_others(
    monkeypatch: pytest.MonkeyPatch, bare: list[int], tokens: int
) -> None:
    monkeypatch.setitem(evaluation.TOKENS, "cpu", tokens)
    splits = [_of_two_classes(tiny.without_words(tiny.examples("token", 12, seed), bare)) for seed in (0, 3)]
    network = tiny.cohort(tiny.backbone("roberta"), [tiny.run("full")], "token").network
    for split, of_run in zip(
        splits, score(lambda batch: network(batch)[..., :2], splits, "token", Reading(2), CPU), strict=True
    ):
        whole = build([(split, np.arange(12))], Reading(2), CPU)
        expected = network(whole)[0, :, :2].detach()
        np.testing.assert_allclose(of_run.logits, expected.numpy(), rtol=0, atol=1e-9)
        wanted = F.cross_entropy(expected, torch.from_numpy(np.asarray(split.labels)))
        assert of_run.loss == pytest.approx(float(wanted), abs=1e-9)


def test_a_run_s_loss_is_the_mean_over_what_it_has() -> None:
    parts = [(tiny.examples("pair", 12, 0), np.array([3, 0, 7])), (tiny.examples("pair", 12, 5), np.array([1]))]
    batch = build(parts, Reading(), CPU)
    outputs = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1))
    losses = run_losses(outputs, batch, "pair")
    for run, count in enumerate((3, 1)):
        wanted = F.cross_entropy(outputs[run, :count], batch.labels[run, :count])
        assert float(losses[run]) == pytest.approx(float(wanted), abs=1e-6)


def test_losses_are_at_least_float32_and_squared_for_regression() -> None:
    outputs, labels = torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16), torch.tensor([[1.0, 1.0]])
    losses = example_losses(outputs, labels, "regression")
    assert losses.dtype == torch.float32
    assert losses.tolist() == [[0.25, 9.0]]


@pytest.mark.parametrize(
    ("logits", "kind", "expected"),
    [
        ([[0.2, 0.1], [3.0, -1.0]], "pair", True),
        ([[0.2, 0.1], [-3.0, -1.0]], "pair", False),
        ([2.0, 2.0 + 1e-7], "regression", True),
        ([2.0, 2.1], "regression", False),
    ],
)
def test_a_run_that_answers_the_same_everywhere_has_collapsed(logits: list, kind: str, expected: bool) -> None:  # type: ignore[type-arg]
    assert collapsed(Scored(np.array(logits), 0.0), kind) is expected


@pytest.mark.parametrize("losses", [[1e308, 1e308], [np.inf, 1.0], [np.inf, -np.inf]])
def test_a_loss_beyond_float64_is_not_finite_and_no_warning(losses: list[float]) -> None:
    batch = np.zeros((1, 2, 2)), np.array([losses])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scored = evaluation._in_order(0, [batch], [np.array([0, 1])])
        assert not np.isfinite(scored.loss)
        # A regression that swings between the largest numbers has not collapsed.
        assert not evaluation.collapsed(evaluation.Scored(np.array([1e308, -1e308]), 1.0), "regression")
