"""What a dry run counts is what a training step holds on the pretend GPU, for every strategy; and grows evenly with the runs."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from peftcli.engine import backbone as backbones
from peftcli.engine import dry_run, pretrained, training
from peftcli.engine.batches import chosen
from peftcli.engine.cohort import Data, gather
from peftcli.experiment.run import Run
from peftcli.strategies import registry
from tests import tiny
from tests.apart import run_apart
from tests.pretend import counting, gpu, needs_pretend

BATCH = 8
# Large enough that matrices and activations matter more than what allocations are rounded up to.
SIZES = {
    "vocab_size": 400,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "max_position_embeddings": 64,
}
WIDE = tuple(sorted(set(registry.STRATEGIES) - {"peft"}))


def data(kind: str = "pair") -> Data:
    examples = tiny.examples(kind, BATCH, longest=48)
    return Data(examples, {}, "validation", kind, ("no", "yes"), ("accuracy",))


def runs(strategy: str, count: int, **training: Any) -> list[Run]:
    return [tiny.run(strategy, 1e-3, seed, batch_size=BATCH, **training) for seed in range(count)]


def config(model_type: str = "bert") -> dict[str, Any]:
    result: dict[str, Any] = tiny.stock(model_type, torch.float32, **SIZES).config.to_dict()
    return result


def on_pretend_gpu(strategies: Iterable[str], count: int, dtype: torch.dtype, **settings: Any) -> dict[str, int]:
    """The most bytes each strategy holds there while two steps are trained, from loading the model on."""
    return {strategy: bytes_held(runs(strategy, count, steps=1000, **settings), dtype) for strategy in strategies}


def bytes_held(together: list[Run], dtype: torch.dtype) -> int:
    """The most bytes these runs hold; a function's own, so that nothing of theirs is left when the next ones are counted."""
    with gpu() as device, counting() as counts:
        network = tiny.stock("bert", torch.float32, **SIZES).to(device)
        base = backbones.narrowed(backbones.adopt(network, True, frozenset()), dtype)
        cohort = gather(together, [data()] * len(together), base, base.config, device)
        state = training.begin(cohort)
        for _ in range(2):
            training.advance(cohort, state)
    return counts().peak


@needs_pretend
@pytest.mark.parametrize(
    ("strategies", "count", "dtype"),
    [
        (("layernorm", "random", "mixout"), 2, torch.bfloat16),
        pytest.param(WIDE, 2, torch.bfloat16, marks=pytest.mark.whole),
        pytest.param(WIDE, 1, torch.float32, marks=pytest.mark.whole),
    ],
)
def test_a_dry_run_counts_what_a_step_holds(strategies: tuple[str, ...], count: int, dtype: torch.dtype) -> None:
    held = run_apart(on_pretend_gpu, strategies, count, dtype)
    ratios = {
        strategy: dry_run.peaks(runs(strategy, count), data(), config(), dtype).training / held[strategy]
        for strategy in strategies
    }
    assert all(0.85 <= ratio <= 1.15 for ratio in ratios.values()), ratios


VARIANTS: dict[str, dict[str, Any]] = {
    "adapter": {"size": 16, "placement": "houlsby"},
    "lora": {"rank": 16, "alpha": 1.0, "b_start": "uniform", "train_head": False, "dora": True},
    "mixout": {"share": 0.3, "mixes": "everything", "mask": "elements"},
    "diffpruning": {"share": 0.05, "gate_start": "drawn", "include_head": True},
}


@needs_pretend
@pytest.mark.parametrize(
    "variants", [("diffpruning",), pytest.param(tuple(VARIANTS), marks=pytest.mark.whole)], ids=len
)
def test_a_dry_run_counts_what_a_step_of_a_variant_holds(
    variants: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weight decay, which of diff pruning shrinks the difference to where a weight started."""
    for strategy in variants:
        monkeypatch.setitem(tiny.OPTIONS, strategy, VARIANTS[strategy])
    decay = {"weight_decay": 0.01}
    held = run_apart(on_pretend_gpu, variants, 2, torch.float32, **decay)
    ratios = {
        strategy: dry_run.peaks(runs(strategy, 2, **decay), data(), config(), torch.float32).training / held[strategy]
        for strategy in variants
    }
    assert all(0.85 <= ratio <= 1.15 for ratio in ratios.values()), ratios


@needs_pretend
def test_a_dry_run_counts_what_a_step_in_parts_holds() -> None:
    strategies, settings = ("layernorm", "random", "full"), {"accumulate": 4}
    held = run_apart(on_pretend_gpu, strategies, 2, torch.bfloat16, **settings)
    for strategy in strategies:
        counted = dry_run.peaks(runs(strategy, 2, **settings), data(), config(), torch.bfloat16).training
        assert counted == pytest.approx(held[strategy], rel=0.15)
        if strategy != "full":  # of which values, gradients and moments are most
            assert counted < 0.75 * dry_run.peaks(runs(strategy, 2), data(), config(), torch.bfloat16).training


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("strategy", ["layernorm", "lora"])
def test_a_dry_run_counts_what_a_step_with_activations_computed_again_holds(
    strategy: str, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a processor that keeps no masks and updates all at once, as a GPU does: the pretend one computes nothing again."""
    monkeypatch.setattr("peftcli.engine.dropout.BLOCK", 0)
    monkeypatch.setattr("peftcli.engine.optimizer.BLOCK", 1 << 30)
    again = runs(strategy, 2, checkpoint_activations=True, accumulate=parts, steps=1000)
    base = backbones.adopt(tiny.stock("bert", torch.float32, **SIZES), True, frozenset())
    cohort = gather(again, [data()] * 2, base, base.config, torch.device("cpu"))
    with dry_run.LiveBytes("cpu") as memory:
        memory.hold(cohort)
        state = training.begin(cohort)
        for _ in range(2):
            training.advance(cohort, state)
    counted = dry_run.peaks(again, data(), config(), torch.float32).training
    assert counted == pytest.approx(memory.peak, rel=0.15)
    assert counted < 0.75 * dry_run.peaks(runs(strategy, 2), data(), config(), torch.float32).training


@pytest.mark.parametrize("strategy", ["layernorm", "random", "full"])
def test_every_further_run_takes_as_much(strategy: str) -> None:
    two, three, six = (dry_run.peaks(runs(strategy, n), data(), config(), torch.bfloat16).training for n in (2, 3, 6))
    assert six == pytest.approx(two + 4 * (three - two), rel=0.05)


def test_values_gradients_moments_and_best_values_are_counted() -> None:
    without = dry_run.peaks(runs("full", 2), data(), config(), torch.float32).training
    best = dry_run.peaks(runs("full", 2, restore_best=True), data(), config(), torch.float32).training
    numbers = sum(p.numel() for p in tiny.stock("bert", torch.float32, **SIZES).parameters())
    assert best - without == pytest.approx(2 * 4 * numbers, rel=0.01)
    assert without > 2 * 16 * numbers


def test_weights_kept_in_bfloat16_take_their_own_bytes_alone() -> None:
    wide, narrow = (
        dry_run.peaks(runs("layernorm", 2), data(), config(), torch.bfloat16, kept).training
        for kept in (None, torch.bfloat16)
    )
    named = dict(tiny.stock("bert", torch.float32, **SIZES).named_parameters())
    encoder = sum(p.numel() for name, p in named.items() if not name.startswith("pooler."))
    # No copy in float32, but of the pooler, which computes in it.
    assert wide - narrow == pytest.approx(4 * encoder, rel=0.02)


@pytest.mark.parametrize("strategy", ["gradient", "sam"])
def test_a_mask_chosen_by_many_batches_is_counted_by_two(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """sam's 599 batches, as released, would be gone through by a processor before a GPU's sweep began."""
    base = backbones.narrowed(tiny.backbone("bert", dtype=torch.float32, **SIZES), torch.float32)
    held, counted = [], []
    for batches in (2, 7):
        monkeypatch.setitem(tiny.OPTIONS, strategy, {"share": 0.05, "batches": batches})
        with dry_run.LiveBytes("cpu") as memory:
            gather(runs(strategy, 2), [data()] * 2, base, base.config, torch.device("cpu"))
        held.append(memory.peak)
        taken: list[int] = []
        monkeypatch.setattr(pretrained, "chosen", lambda *given, taken=taken: taken.append(1) or chosen(*given))
        counted.append(dry_run.peaks(runs(strategy, 2), data(), config(), torch.float32))
        monkeypatch.setattr(pretrained, "chosen", chosen)
        assert len(taken) == 2 * 2
    assert held[0] == pytest.approx(held[1], rel=1e-3)
    assert counted[0].training == pytest.approx(counted[1].training, rel=1e-3)


@pytest.mark.parametrize("kind", ["choice", "token"])
def test_the_longest_batch_is_taken(kind: str) -> None:
    examples = tiny.examples(kind, 40, longest=30)
    longest = dry_run.longest_examples(examples, BATCH)
    lengths = examples.lengths.reshape(-1, examples.group).sum(1)
    assert longest.lengths.reshape(-1, examples.group).sum(1).tolist() == np.sort(lengths)[::-1][:BATCH].tolist()
    assert len(dry_run.longest_examples(examples, 100)) == 40


def test_a_part_is_of_the_longest_examples() -> None:
    examples = tiny.examples("pair", 40, longest=30)
    parts = dry_run.longest_parts(examples, runs("full", 1, accumulate=3)[0].protocol)
    assert len(parts) == BATCH
    longest = sorted(examples.lengths)[-3:]  # eight examples in three parts: three in the largest
    assert sorted(set(parts.lengths)) == sorted(set(longest))


@pytest.mark.parametrize("model_type", ["roberta", "deberta-v2", "albert"])
def test_other_families_are_counted_too(model_type: str) -> None:
    sizes = {**SIZES, "embedding_size": 32} if model_type == "albert" else SIZES
    whole = tiny.stock(model_type, torch.float32, **sizes).config.to_dict()
    two, three = (dry_run.peaks(runs("layernorm", n), data(), whole, torch.bfloat16).training for n in (2, 3))
    assert 0 < three - two < two


def test_tensors_that_share_memory_are_counted_once() -> None:
    base = torch.zeros(1000)
    holder = {"whole": base, "view": base[10:20], "other": [torch.zeros(256)]}
    dry_run.shapes_alone(holder)
    with dry_run.LiveBytes("meta") as memory:
        memory.hold(holder)
        assert memory.live == 4096 + 1024  # rounded up to 512
        del holder["other"]
        assert memory.live == 4096
        more = torch.empty(128, device="meta") + 1
        assert memory.peak >= 4096 + 512
        del more
        assert memory.live == 4096
