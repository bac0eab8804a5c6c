"""The device that training runs on, the precision it computes in there, and what makes equal runs equal to the bit.

A GPU that is there and does not start is an error, never a silent run on the processor: that would train for days, under the
same run ids, what the GPU was meant to train in minutes.
"""

import os
import warnings
from pathlib import Path

import torch

from peftcli.errors import UserError, first_line, unknown

DEVICES = ("cpu", "cuda")
# By which a cluster tells a job that it was granted GPUs.
GRANTED = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE")
# From this compute capability on a GPU multiplies bfloat16 and TF32 itself (NVIDIA A100 and later).
BFLOAT16_FROM = (8, 0)


def choose(asked: str | None = None) -> torch.device:
    """The device to train on: the one asked for, else this process's GPU where there is one, else the processor.

    Raises UserError for a name that is none, and where a GPU was asked for, granted or installed and does not start.
    """
    if asked not in (None, *DEVICES):
        raise unknown("device", str(asked), DEVICES)
    if asked == "cpu":
        return torch.device("cpu")
    # Read when the first product starts: with it, cuBLAS uses the same workspace, and so the same sums, every time.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver that is too old: said below, as an error
        available = torch.cuda.is_available()
    if available:
        return torch.device("cuda", torch.cuda.current_device())
    if asked == "cuda":
        raise UserError(f"--device cuda: no GPU can be used ({_why_not()}); --device cpu trains on the processor")
    if reason := _expected():
        raise UserError(f"{reason}, but it cannot be used ({_why_not()}); --device cpu trains on the processor")
    return torch.device("cpu")


def resolve_precision(asked: str, on: torch.device) -> str:
    """The name of the precision a run computes in: the one asked for; `auto` is what the device is fast and safe in.

    That is bfloat16 on a GPU that multiplies it itself, else float32. Raises UserError for `tf32` on anything but such a GPU.
    """
    native = on.type == "cuda" and torch.cuda.get_device_capability(on) >= BFLOAT16_FROM
    if asked == "auto":
        return "bfloat16" if native else "float32"  # few processors multiply bfloat16 any faster
    if asked == "tf32" and not native:
        where = f"{torch.cuda.get_device_name(on)} has not" if on.type == "cuda" else "a processor has not"
        raise UserError(
            f"precision tf32: {where}; it needs an NVIDIA GPU of compute capability 8.0 or more. Legal here: auto, float32, "
            "bfloat16, float64"
        )
    return asked


def number_type(precision: str) -> torch.dtype:
    """The type of number that a precision keeps its tensors in; TF32 rounds only what a product reads."""
    dtype: torch.dtype = torch.float32 if precision == "tf32" else getattr(torch, precision)
    return dtype


def prepare(on: torch.device, precision: str) -> None:
    """Have torch compute in that precision and no lower one, in the same order every time; for the whole process."""
    if on.type != "cuda":
        return
    tf32 = precision == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = tf32  # of convolutions, where torch's own default is on
    torch.backends.cudnn.benchmark = False  # which kernel is fastest differs from one time to the next
    torch.backends.cudnn.deterministic = True
    # Long sums of bfloat16 products stay in float32 to the end.
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    # Our own operations add in a fixed order; this holds for the models' and other libraries'. One that has no such form
    # warns, and still trains.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling what was just allocated is a kernel more for every tensor, and nobody reads it.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _expected() -> str | None:
    """Why there should be a GPU, in words; None where nothing says so, or where all are hidden on purpose."""
    granted = [name for name in GRANTED if os.environ.get(name, "0") not in ("", "0")]
    if granted:
        return f"the cluster granted a GPU ({granted[0]}={os.environ[granted[0]]})"
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1", "NoDevFiles"):
        return None
    files = sorted(Path("/dev").glob("nvidia[0-9]*"))
    return f"there is a GPU here ({files[0]})" if files else None


def _why_not() -> str:
    """Why no GPU can be used, in torch's own words where it has any."""
    if not torch.backends.cuda.is_built():
        return f"torch {torch.__version__} is built without CUDA"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return first_line(error, 200)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "no device is visible" + ("" if visible is None else f": CUDA_VISIBLE_DEVICES is {visible!r}")
