"""Stock transformers models: which of them has a run's head, and under what names it keeps the same tensors. No torch."""

from collections.abc import Iterable, Mapping
from typing import Any

from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.models import heads
from peftcli.models.tensors import architecture
from peftcli.strategies.tuning import Bottleneck
from peftcli.tasks.registry import Task


def check(run: Run, task: Task, config: Mapping[str, Any]) -> None:
    """Refuse a run that no stock model can be made of, with the reason. Raises UserError."""
    kind, config = task.kind, dict(config)
    family = str(config["model_type"])
    if kind in ("span", "choice"):
        raise UserError(f"task {task.name} has a {kind} head, which no stock model has: use `peftcli predict`")
    if kind == "token" and architecture(family).head.token_module is None:
        raise UserError(f"a stock {family} token classifier has another head than this run: use `peftcli predict`")
    # Compared by what they compute, not by name: on a BERT, for one, `linear` is the stock head.
    style = run.protocol.head
    if _head(config, kind, style) != _head(config, kind, "stock"):
        raise UserError(f"head {style!r} is not the one of a stock {family} classifier: use `peftcli predict`")


def _head(config: dict[str, Any], kind: str, style: heads.Style) -> tuple[object, ...]:
    """All that makes two heads compute the same: tensors, what they read, and the activation between."""
    labels = 2  # any number: a style changes nothing that depends on it
    return (
        heads.parameters(config, kind, labels, style),
        heads.uses_pooler(config, kind, style),
        heads.averages(config, kind, style),
        heads.inner_activation(config, kind, style),
    )


def check_insertions(run: Run, insertions: Iterable[object], injected: bool) -> None:
    """Refuse inserted modules that do not fold into the weights. Raises UserError."""
    if injected:
        raise UserError(
            f"strategy {run.strategy} puts modules of the peft package into the model, which no stock one has"
        )
    # A bottleneck has an activation inside, so no linear layer can take it up; low-rank matrices fold into one.
    if any(isinstance(part, Bottleneck) for part in insertions):
        raise UserError(f"strategy {run.strategy} inserts adapters, which no stock model has: use `peftcli predict`")


def name(ours: str, config: Mapping[str, Any], kind: str, prefix: str) -> str:
    """A tensor's name in the stock model from ours; `prefix` is the stock model's name of its backbone."""
    if not ours.startswith("head."):
        return f"{prefix}.{ours}"
    module, _, part = ours.removeprefix("head.").rpartition(".")
    head = architecture(str(config["model_type"])).head
    # A token classifier is one linear layer.
    return f"{head.token_module if kind == 'token' else head.modules[module]}.{part}"
