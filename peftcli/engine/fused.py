"""What a GPU does in one kernel of our own: operators that torch knows by name, each with the plain torch form that it equals.

A form of several operations reads and writes its tensors several times, and each operation is a kernel to launch. The kernels are
written for Triton (`triton_kernels`); where those do not run, the plain forms do.
"""

import sys
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from peftcli import noise

# By `define` and `impl`, under a plain autograd function: a step calls such an operator up to a hundred times, and `custom_op`'s
# checks and its own autograd take thrice as long a call, which on a small batch is longer than the kernels themselves.
_LIBRARY = torch.library.Library("peftcli", "DEF")
_LIBRARY.define("dropped(Tensor x, Tensor rows, float probability) -> Tensor")


def serves(device: torch.device) -> bool:
    """Whether our kernels run on this device: an NVIDIA GPU, Triton installed, and results there equal to the plain forms'."""
    return device.type == "cuda" and _agrees(device)


def dropped(x: Tensor, rows: Tensor, probability: float) -> Tensor:
    """Drop elements of x [..., channels] by a number for each row of it, `rows` [...] int32, and scale up what stays.

    In float32 at least, as 1 / (1 - probability) is not rounded to bfloat16; no gradient passes.
    """
    if serves(x.device):
        result: Tensor = torch.ops.peftcli.dropped(x, rows, probability)
        return result
    return dropped_plain(x, rows, probability)


def dropped_plain(x: Tensor, rows: Tensor, probability: float) -> Tensor:
    """The same with torch: four kernels, and no tensor of multipliers."""
    # Equal to the product with `noise.multipliers`, which needs fewer passes on a processor: the lower eight bits that those cut
    # off do not reach the edge, a multiple of 256.
    drawn = rows[..., None] * noise.columns(x.shape[-1], x.device)
    return x.mul(1 / (1 - probability)).masked_fill_(drawn < noise.edge(probability), 0)


def _on_cuda(x: Tensor, rows: Tensor, probability: float) -> Tensor:
    from peftcli.engine import triton_kernels

    if x.dtype == torch.float64:  # Triton's numbers from Python have 32 bits
        return dropped_plain(x, rows, probability).contiguous()
    return triton_kernels.dropped(x, rows, probability)


_LIBRARY.impl("dropped", lambda *inputs: dropped_plain(*inputs).contiguous(), "CPU")
_LIBRARY.impl("dropped", _on_cuda, "CUDA")
torch.library.register_fake("peftcli::dropped", lambda x, rows, probability: x.new_empty(x.shape), lib=_LIBRARY)


@cache
def _agrees(device: torch.device) -> bool:
    """Whether Triton is there and its kernels' results equal the plain forms' on this device; says so on stderr if not."""
    if find_spec("triton") is None:
        return False
    try:
        from peftcli.engine import triton_kernels

        difference = triton_kernels.difference(device)
    except (
        Exception
    ) as error:  # whatever a compiler, a driver or another version of Triton raises: training goes on without it
        difference = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    if difference is not None:
        print(
            f"note: kernels by Triton are not used on {device}, plain torch is slower ({difference})", file=sys.stderr
        )
    return difference is None
