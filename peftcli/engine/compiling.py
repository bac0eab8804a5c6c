"""Compiling what the network computes: once for training and once for evaluation, whatever sizes the batches have."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental import _config as shapes

from peftcli.engine.batches import Batch
from peftcli.errors import UserError
from peftcli.models.tensors import architecture
from peftcli.strategies.tuning import Tuning, trains_whole_tensors

BACKEND = "inductor"  # torch's compiler: Triton on a GPU, C++ on a processor

Compute = Callable[[dict[str, Tensor], dict[str, Tensor], Batch], Tensor]  # as `Network.compute`


def check(strategy: str, tuning: Tuning, config: dict[str, Any]) -> None:
    """Raises UserError where what a strategy trains of a model with this config is not compiled."""
    row = architecture(config["model_type"])
    if row.shared or row.relative or not trains_whole_tensors(tuning):
        raise UserError(
            f"compile: true: not for strategy {strategy} on a {config['model_type']}, only where whole tensors are "
            "trained of a model that shares no layers and knows no relative positions; legal: false"
        )


def compiled(compute: Compute, backend: Any = None) -> Compute:
    """The same function compiled at its first use, sizes of a batch left open; `backend` instead of torch's compiler.

    Raises UserError where this machine lacks what the compiler needs.
    """
    fast = torch.compile(compute, dynamic=True, backend=backend or BACKEND)

    def run(tensors: dict[str, Tensor], noise: dict[str, Tensor], batch: Batch) -> Tensor:
        """What the compiled function returns."""
        for tensor in tensors.values():  # of a cohort the same sizes at every step
            torch._dynamo.mark_static(tensor)
        try:
            # Else two sizes that happen to be equal in the first batch are taken for one, and the next batch compiles anew; and
            # a number such as dropout's probability, which never changes, is first left open and then all is compiled again.
            with (
                shapes.patch(use_duck_shape=False),  # type: ignore[attr-defined]
                torch._dynamo.config.patch(specialize_float=True),
            ):
                return fast(tensors, noise, batch)
        except torch._dynamo.exc.TorchDynamoException as error:
            said = " ".join(str(error).split())[:200]  # what went wrong stands in the second line
            raise UserError(f"compile: torch cannot compile here ({said}); compile: false trains without") from error

    return run
