"""A step and an evaluation with another library's modules before a sweep: what they cannot do, their own code alone knows."""

from collections.abc import Mapping

import numpy as np
import torch

from peftcli.data.examples import Examples
from peftcli.data.loading import Prepared
from peftcli.engine import backbone, training
from peftcli.engine.cohort import Data, gather
from peftcli.engine.evaluation import score
from peftcli.errors import UserError, first_line
from peftcli.experiment.run import Run
from peftcli.models import heads
from peftcli.models.files import fetch_config


def is_due(run: Run) -> bool:
    """Whether a run's strategy puts another library's modules into the model."""
    return run.strategy == "peft"


def rehearse(model: str, run: Run, prepared: Prepared) -> None:
    """Train a run for one step on its longest example, and evaluate that of every split. Raises UserError where it cannot be.

    The model stays loaded for the runs themselves, where they compute so; where memory runs out, it is for them to say.
    """
    # On the processor: the machine that is asked need not be the one that trains.
    task, device = prepared.task, torch.device("cpu")
    pooler = heads.uses_pooler(fetch_config(model), task.kind, run.protocol.head)
    loaded = backbone.load(model, pooler, torch.float32, device)
    run = run.model_copy(
        update={"protocol": run.protocol.model_copy(update={"compile": False})}
    )  # takes longer than all of it
    longest = {split: _longest(examples) for split, examples in prepared.evaluation.items()}
    data = Data(_longest(prepared.train), longest, prepared.chooser, task.kind, prepared.label_names, task.metrics)
    try:
        cohort = gather([run], [data], loaded, loaded.config, device)
        state = training.begin(cohort)
        training.advance(cohort, state)
        forward = cohort.forward(state.flat.detach(), state.step)
        for split in longest.values():
            score(forward, [split], task.kind, cohort.network.reading, device)
    except (UserError, MemoryError, torch.OutOfMemoryError) as error:
        if isinstance(error, UserError):
            raise
    except Exception as error:
        raise UserError(
            f"strategy {run.strategy} with {_chosen(run.options)} cannot train {model} on {run.task}, whose longest "
            f"example has {_pieces(data.train, longest)} word pieces: {type(error).__name__}: {first_line(error)}"
        ) from None


def _longest(examples: Examples) -> Examples:
    """The example with the longest sequence, alone."""
    by_example = examples.lengths.reshape(-1, examples.group).max(1)
    return examples.take(np.array([int(by_example.argmax())]))


def _pieces(train: Examples, evaluation: Mapping[str, Examples]) -> int:
    return max(int(examples.lengths.max()) for examples in (train, *evaluation.values()))


def _chosen(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in options.items())
