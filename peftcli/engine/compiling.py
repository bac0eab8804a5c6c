"""Compiling what the network computes: once for training and once for evaluation, whatever sizes the batches have."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental import _config as shapes

from peftcli.errors import UserError

BACKEND = "inductor"  # torch's compiler: Triton on a GPU, C++ on a processor


def compiled(call: Callable[..., Tensor], backend: Any = None) -> Callable[..., Tensor]:
    """The same function compiled at its first use, sizes of its tensors left open; `backend` instead of torch's compiler.

    Raises UserError where this machine lacks what the compiler needs.
    """
    fast = torch.compile(call, dynamic=True, backend=backend or BACKEND)

    def run(*inputs: Any) -> Tensor:
        """What the compiled function returns."""
        try:
            # Else two sizes that happen to be equal in the first batch are taken for one, and the next batch compiles anew.
            with shapes.patch(use_duck_shape=False):  # type: ignore[attr-defined]
                return fast(*inputs)
        except torch._dynamo.exc.TorchDynamoException as error:
            said = " ".join(str(error).split())[:200]  # what went wrong stands in the second line
            raise UserError(f"compile: torch cannot compile here ({said}); compile: false trains without") from error

    return run
