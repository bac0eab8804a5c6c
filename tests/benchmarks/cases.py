"""The comparisons and their targets, for a processor and for a GPU."""

from collections.abc import Iterator
from functools import partial

import torch

from tests.benchmarks import trainer
from tests.benchmarks.sweeping import one_step_seconds, record_seconds
from tests.benchmarks.timing import Ratio, alternate, steps_seconds
from tests.benchmarks.workload import cohort, ours

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def on_processor(rounds: int) -> Iterator[Ratio]:
    """minilm, batch 16, max length 128, the LayerNorm strategy unless said."""
    against = partial(_against_trainer, model="minilm", device=CPU, rounds=rounds)
    yield against("one run, CoLA, against Trainer padding to 128", "cola", "layernorm", padded=True, at_least=8.0)
    yield against("one run, RTE, against Trainer padding to 128", "rte", "layernorm", padded=True, at_least=1.4)
    yield against("one run, STS-B, against Trainer padding to 128", "stsb", "layernorm", padded=True, at_least=3.0)
    name = "one run, CoLA, against Trainer padding dynamically"
    yield against(name, "cola", "layernorm", padded=False, steps=18, at_least=1.5)
    name = "cohort of 8, CoLA, per run, against Trainer padding to 128"
    yield against(name, "cola", "layernorm", padded=True, runs=8, at_least=11.0)
    yield against("lora, CoLA, against peft under Trainer padding to 128", "cola", "lora", padded=True)
    yield _against_ours("random at 0.03 %, step, against layernorm's", "layernorm", rounds, 1.15, share=0.0003)
    yield _against_ours("random at 0.5 %, step, against full's", "full", rounds, 1.02, share=0.005)
    yield _state_share("random at 0.5 %, weights' gradients and optimizer state, bytes, against full's", 0.2)
    name = "100 one-step runs in a sweep, per run, against a fresh Trainer"
    yield alternate(name, *one_step_seconds(), min(rounds, 3), at_least=20.0)
    skipping, writing = record_seconds()
    yield _absolute("skipping a finished run, of 1 ms", skipping, 1e-3)
    yield _absolute("writing a record without its fsync, of 10 ms", writing, 1e-2)


def on_gpu(rounds: int) -> Iterator[Ratio]:
    """bert-base's shapes, bf16, batch 16, the LayerNorm strategy."""
    against = partial(_against_trainer, model="bert-base-uncased", device=GPU, rounds=rounds, steps=20)
    for task, target in (("rte", 10.0), ("cola", 20.0)):
        yield against(f"one run, {task}, against Trainer", task, "layernorm", padded=True, at_least=2.0)
        name = f"cohort of 21, {task}, per run, against Trainer"
        yield against(name, task, "layernorm", padded=True, runs=21, seeds=3, at_least=target)


def _against_trainer(
    name: str,
    task: str,
    strategy: str,
    *,
    padded: bool,
    model: str,
    device: torch.device,
    rounds: int,
    runs: int = 1,
    seeds: int = 1,
    steps: int = 6,
    at_least: float | None = None,
) -> Ratio:
    step = ours(cohort(task, strategy, device, model, runs, seeds))
    network = trainer.classifier(model, task, strategy, device)
    steps_seconds(step, 3, device)

    def theirs() -> float:
        with trainer.as_torch_comes():
            return sorted(trainer.seconds(network, task, padded, steps, device))[steps // 2]

    return alternate(name, lambda: steps_seconds(step, steps, device), theirs, rounds, runs, at_least)


def _state_share(name: str, at_most: float) -> Ratio:
    """Bytes of gradients that last past the backward pass and of Adam's moments, with the index of sparse elements."""
    sizes = []
    for strategy, options in (("random", {"share": 0.005}), ("full", {})):
        own = cohort("cola", strategy, CPU, "minilm", **options)
        index = sum(places.nbytes for places in own.assembly.index.values())
        sizes.append(3 * own.assembly.flat.nbytes + index)
    share = sizes[0] / sizes[1]
    return Ratio(name, share, (share, share), 0.0, 0.0, None, at_most)


def _absolute(name: str, seconds: float, allowed: float) -> Ratio:
    return Ratio(name, seconds / allowed, (seconds / allowed,) * 2, seconds, allowed, None, 1.0)


def _against_ours(name: str, other: str, rounds: int, at_most: float, share: float) -> Ratio:
    """Three times the rounds: both sides are short and near each other."""
    sparse = ours(cohort("cola", "random", CPU, "minilm", share=share))
    dense = ours(cohort("cola", other, CPU, "minilm"))
    for step in (sparse, dense):
        steps_seconds(step, 3, CPU)
    return alternate(
        name, lambda: steps_seconds(sparse, 8, CPU), lambda: steps_seconds(dense, 8, CPU), 3 * rounds, at_most=at_most
    )
