"""Stock transformers models: which of them has a run's head, and under what names it keeps the same tensors. No torch."""

from collections.abc import Iterable, Mapping
from typing import Any

from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.models import heads
from peftcli.strategies.tuning import Bottleneck
from peftcli.tasks.registry import Task

# By architecture the stock sequence classifier's name of each module of our head.
HEADS: dict[str, dict[str, str]] = {
    "bert": {"out": "classifier"},
    "roberta": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "xlm-roberta": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "electra": {"dense": "classifier.dense", "out": "classifier.out_proj"},
    "distilbert": {"dense": "pre_classifier", "out": "classifier"},
    "albert": {"out": "classifier"},
    "deberta-v2": {"dense": "pooler.dense", "out": "classifier"},
    "modernbert": {"dense": "head.dense", "norm": "head.norm", "out": "classifier"},
}
WITHOUT_TOKENS = ("modernbert",)  # whose stock token classifier has a dense layer that our token head has not


def check(run: Run, task: Task, config: Mapping[str, Any]) -> None:
    """Refuse a run that no stock model can be made of, with the reason. Raises UserError."""
    kind, config = task.kind, dict(config)
    family = str(config["model_type"])
    if kind in ("span", "choice"):
        raise UserError(f"task {task.name} has a {kind} head, which no stock model has: use `peftcli predict`")
    if kind == "token" and family in WITHOUT_TOKENS:
        raise UserError(f"a stock {family} token classifier has another head than this run: use `peftcli predict`")
    style = run.protocol.head
    parts = [(heads.parameters(config, kind, 2, s), heads.uses_pooler(config, kind, s), heads.averages(config, kind, s),
              heads.inner_activation(config, kind, s)) for s in (style, "stock")]  # fmt: skip
    if parts[0] != parts[1]:
        raise UserError(f"head {style!r} is not the one of a stock {family} classifier: use `peftcli predict`")


def check_insertions(run: Run, insertions: Iterable[object], injected: bool) -> None:
    """Refuse inserted modules that do not fold into the weights. Raises UserError."""
    if injected:
        raise UserError(
            f"strategy {run.strategy} puts modules of the peft package into the model, which no stock one has"
        )
    if any(isinstance(part, Bottleneck) for part in insertions):
        raise UserError(f"strategy {run.strategy} inserts adapters, which no stock model has: use `peftcli predict`")


def name(ours: str, config: Mapping[str, Any], kind: str, prefix: str) -> str:
    """Give a tensor's name in the stock model from ours; `prefix` is the stock model's name of its backbone."""
    if not ours.startswith("head."):
        return f"{prefix}.{ours}"
    module, _, part = ours.removeprefix("head.").rpartition(".")
    own = {"out": "classifier"} if kind == "token" else HEADS[str(config["model_type"])]
    return f"{own[module]}.{part}"
