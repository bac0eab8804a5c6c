"""A cohort made ready to train: runs alike in all but learning rate, seed and mask values, on one network."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from peftcli.data.examples import Array, Examples
from peftcli.engine import compiling, optimizer, parallel
from peftcli.engine.assembly import Assembly, assemble
from peftcli.engine.backbone import Backbone
from peftcli.engine.batches import Batch, chosen
from peftcli.engine.evaluation import run_losses, task_outputs
from peftcli.engine.network import Network
from peftcli.engine.pretrained import fresh_tensors, training_gradient
from peftcli.engine.recomputing import recompute
from peftcli.experiment.run import Run
from peftcli.experiment.schedule import Schedule, schedule
from peftcli.experiment.settings import Training
from peftcli.noise import seed_key, site_keys, step_keys
from peftcli.strategies import registry
from peftcli.strategies.pretrained import Pretrained, Summed, generator
from peftcli.strategies.tuning import Moment


@dataclass(frozen=True)
class Data:
    """What one run trains on and is evaluated on: the splits, which of them chooses the best, and label names."""

    train: Examples
    evaluation: dict[str, Examples]
    chooser: str
    kind: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]

    @property
    def at_end(self) -> tuple[str, ...]:
        """The splits that are evaluated once, when training has ended: those that nothing may be chosen by."""
        return tuple(split for split in self.evaluation if split.startswith("test") or split == "train")


@dataclass(frozen=True)
class Loss:
    """What each run minimises at a step, [runs] each: its `task`'s loss and its strategy's `penalty`, where it has one."""

    task: Tensor
    penalty: Tensor | None

    @property
    def total(self) -> Tensor:
        """Both together, [runs]."""
        return self.task if self.penalty is None else self.task + self.penalty


@dataclass(frozen=True)
class Cohort:
    """Runs ready to train together. Everything here stays as it is while they train; `State` is what moves."""

    runs: tuple[Run, ...]
    data: tuple[Data, ...]
    assembly: Assembly
    schedules: tuple[Schedule, ...]
    device: torch.device
    keys: Tensor = field(repr=False)  # [runs] int32

    @property
    def training(self) -> Training:
        """The settings, the same for all runs."""
        return self.runs[0].protocol

    @property
    def network(self) -> Network:
        """The network they share."""
        return self.assembly.network

    @property
    def total(self) -> int:
        """Updates until the longest run ends."""
        return max(schedule.total for schedule in self.schedules)

    @cached_property
    def decay(self) -> optimizer.Decay | None:
        """What weight decay does to each column; None where there is none."""
        return optimizer.decay(self.assembly, self.training) if self.training.weight_decay else None

    def batches(self, step: int) -> Iterator[Batch]:
        """Every run's batch at a step, in the slices that this process computes one after another.

        A run that has ended goes on seeing batches, which change nothing of it.
        """
        size, network = self.training.batch_size, self.network
        picked = [
            (data.train, chosen(run.seed, step, len(data.train), size))
            for run, data in zip(self.runs, self.data, strict=True)
        ]
        return parallel.slices(
            picked,
            self.training.accumulate,
            network.reading,
            self.device,
            network.lookups,
            parallel.rank(),
            parallel.size(),
        )

    def batch(self, step: int) -> Batch:
        """Every run's batch at a step, where this process computes it at once."""
        (batch,) = self.batches(step)
        return batch

    def tokens(self, step: int) -> int:
        """Real tokens of all runs in their batches before a step."""
        count, size = 0, self.training.batch_size
        for run, data in zip(self.runs, self.data, strict=True):
            lengths = data.train.example_lengths
            epoch = -(-len(data.train) // size)  # steps
            started = [chosen(run.seed, at, len(data.train), size) for at in range(step - step % epoch, step)]
            count += step // epoch * int(lengths.sum()) + sum(int(lengths[picked].sum()) for picked in started)
        return count

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """The dropout layers that drop anything, by name, in the order that numbers their noise."""
        return tuple(name for name, dropout in self.network.dropouts().items() if dropout.p)

    def noise(self, step: int, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Dropout's numbers at a step by buffer name (none where dropout is off), and the strategy's own keys [runs]."""
        keys = step_keys(self.keys, step)
        on = [schedule.dropout(step) for schedule in self.schedules]
        assert all(on) or not any(on), "runs of a cohort have the same number of steps an epoch"
        return self.network.noise(self.sites, keys, batch) if on[0] else ({}, site_keys(keys, 1)[0])

    def loss(self, flat: Tensor, step: int, batch: Batch) -> Loss:
        """Each run's training loss at a step; a slice's part of it."""
        noise, keys = self.noise(step, batch)
        moment = Moment(step, True, keys)
        kind = self.data[0].kind
        outputs = self.network.call(self.assembly.tensors(flat, moment), noise, batch)
        task = run_losses(task_outputs(outputs, kind), batch, kind)
        penalty = self.assembly.tuning.penalty
        # Every slice adds its part of the penalty, and the parts are summed.
        slices = 1 if batch.whole is None else batch.whole.slices
        return Loss(task, penalty and penalty(self.assembly.values(flat), moment) / slices)

    def forward(self, flat: Tensor, step: int) -> Callable[[Batch], Tensor]:
        """The network at these values, for evaluation: no dropout."""
        moment = Moment(step, False, step_keys(self.keys, step))
        tensors = self.assembly.tensors(flat, moment)
        return lambda batch: self.network.call(tensors, {}, batch)


def gather(
    runs: Sequence[Run], data: Sequence[Data], backbone: Backbone, config: dict[str, Any], device: torch.device
) -> Cohort:
    """Make a cohort ready: head and mask of each run from its own seed, the strategy applied once. Raises UserError."""
    training, kind = runs[0].protocol, data[0].kind
    network = Network(backbone, kind, max(len(data[0].labels), 1), training.head).to(device)
    if training.checkpoint_activations:  # first: masks may be chosen by gradients
        recompute(network, network.blocks)
    _set_dropout(network, training)  # before masks are chosen, which may take gradients
    tuning = registry.get(runs[0].strategy).tune(network.anatomy, runs[0].options)
    models = [_pretrained(network, run, of_run, config, device) for run, of_run in zip(runs, data, strict=True)]
    assembly = assemble(network, tuning, models)
    _set_dropout(network, training)  # again, for what was inserted
    if training.compile:  # only now: the gradients that masks are chosen by are taken once
        compiling.check(runs[0].strategy, tuning, config)
        network.compiled = compiling.compiled(network.compute)
    schedules = tuple(schedule(training, len(of_run.train)) for of_run in data)
    keys = torch.tensor([seed_key(run.seed, "dropout") for run in runs], dtype=torch.int32, device=device)
    return Cohort(tuple(runs), tuple(data), assembly, schedules, device, keys)


def _set_dropout(network: Network, training: Training) -> None:
    """Set every dropout layer to the protocol's probability, where it has one; else they keep the model's."""
    if training.dropout is not None:
        for dropout in network.dropouts().values():
            dropout.p = training.dropout


def _pretrained(network: Network, run: Run, data: Data, config: dict[str, Any], device: torch.device) -> Pretrained:
    """What a strategy sees of one run: weights by name, [*shape] each, and gradients if it asks for them."""
    weights = {**network.weights, **fresh_tensors(network, run.seed)}

    def gradient(batches: int | None, summed: Summed) -> dict[str, Tensor]:
        def slices(picked: Array) -> Iterator[Batch]:
            return parallel.slices([(data.train, picked)], run.protocol.accumulate, network.reading, device)

        return training_gradient(network, weights, run, data.kind, len(data.train), slices, batches, summed)

    return Pretrained(weights, generator(run.seed, "mask"), config, gradient)
