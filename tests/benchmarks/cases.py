"""The comparisons and their targets, for a processor and for a GPU."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from peftcli.errors import UserError
from tests.benchmarks import trainer
from tests.benchmarks.sweeping import one_step_seconds, skipping_seconds, writing_seconds
from tests.benchmarks.timing import Ratio, alternate, steps_seconds
from tests.benchmarks.workload import TINY, cohort, ours

Case = tuple[str, Callable[[], Ratio]]  # its name in the table, and what measures it
CPU, GPU = torch.device("cpu"), torch.device("cuda")


def on_processor(rounds: int) -> Iterator[Case]:
    """minilm, batch 16, max length 128, the LayerNorm strategy unless said."""

    def against(name: str, task: str, strategy: str, **options: Any) -> Case:
        return name, partial(
            _against_trainer, name, task, strategy, model="minilm", device=CPU, rounds=rounds, **options
        )

    yield against("one run, CoLA, against Trainer padding to 128", "cola", "layernorm", padded=True, at_least=8.0)
    yield against("one run, RTE, against Trainer padding to 128", "rte", "layernorm", padded=True, at_least=1.4)
    yield against("one run, STS-B, against Trainer padding to 128", "stsb", "layernorm", padded=True, at_least=3.0)
    name = "one run, CoLA, against Trainer padding dynamically"
    yield against(name, "cola", "layernorm", padded=False, steps=18, at_least=1.5)
    name = "cohort of 8, CoLA, per run, against Trainer padding to 128"
    yield against(name, "cola", "layernorm", padded=True, runs=8, at_least=11.0)
    yield against("lora, CoLA, against peft under Trainer padding to 128", "cola", "lora", padded=True)
    name = "random at 0.03 %, step, against layernorm's"
    yield name, partial(_against_ours, name, "layernorm", rounds, 1.15, share=0.0003)
    name = "random at 0.5 %, step, against full's"
    yield name, partial(_against_ours, name, "full", rounds, 1.02, share=0.005)
    name = "random at 0.5 %, weights' gradients and optimizer state, bytes, against full's"
    yield name, partial(_state_share, name, 0.2)
    for model in TINY:
        name = f"cohort of 8, {model}, CoLA, per run, against one alone"
        yield name, partial(_against_alone, name, model, rounds, 0.5)
    name = "100 one-step runs in a sweep, per run, against a fresh Trainer"
    yield name, partial(_sweep_of_one_step, name, min(rounds, 3), 20.0)
    name = "skipping a finished run, of 1 ms"
    yield name, partial(_absolute, name, skipping_seconds, 1e-3)
    name = "writing a record without its fsync, of 10 ms"
    yield name, partial(_absolute, name, writing_seconds, 1e-2)


def on_gpu(rounds: int) -> Iterator[Case]:
    """bert-base's shapes, bf16, batch 16, the LayerNorm strategy."""
    against = partial(_against_trainer, model="bert-base-uncased", device=GPU, rounds=rounds, steps=20, padded=True)
    for task, target in (("rte", 10.0), ("cola", 20.0)):
        name = f"one run, {task}, against Trainer"
        yield name, partial(against, name, task, "layernorm", at_least=2.0)
        name = f"cohort of 21, {task}, per run, against Trainer"
        yield name, partial(against, name, task, "layernorm", runs=21, seeds=3, at_least=target)


def picked(cases: Iterator[Case], words: Sequence[str]) -> list[Case]:
    """The cases whose names hold one of some words; all of them where there is no word. Raises UserError for a word in none."""
    every = list(cases)
    for word in words:
        if not any(word in name for name, _ in every):
            raise UserError(f"no comparison is called {word!r}; there are: {'; '.join(name for name, _ in every)}")
    return [case for case in every if not words or any(word in case[0] for word in words)]


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


def _against_alone(name: str, model: str, rounds: int, at_most: float) -> Ratio:
    together, alone = (ours(cohort("cola", "layernorm", CPU, model, runs)) for runs in (8, 1))
    for step in (together, alone):
        steps_seconds(step, 3, CPU)
    return alternate(
        name, lambda: steps_seconds(together, 8, CPU), lambda: steps_seconds(alone, 24, CPU), rounds, 8, at_most=at_most
    )


def _state_share(name: str, at_most: float) -> Ratio:
    """Bytes of gradients that last past the backward pass and of Adam's moments, with the index of sparse elements."""
    sizes = []
    for strategy, options in (("random", {"share": 0.005}), ("full", {})):
        own = cohort("cola", strategy, CPU, "minilm", **options)
        index = sum(places.nbytes for places in own.assembly.index.values())
        sizes.append(3 * own.assembly.flat.nbytes + index)
    share = sizes[0] / sizes[1]
    return Ratio(name, share, (share, share), 0.0, 0.0, None, at_most)


def _sweep_of_one_step(name: str, rounds: int, at_least: float) -> Ratio:
    return alternate(name, *one_step_seconds(), rounds, at_least=at_least)


def _absolute(name: str, measure: Callable[[], float], allowed: float) -> Ratio:
    seconds = measure()
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
