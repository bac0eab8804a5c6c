"""The device that training runs on, and the precision the backbone computes in there."""

import torch


def default_device() -> torch.device:
    """The device to train on: this process's GPU where there is one, else the processor."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def resolve_precision(asked: str, on: torch.device) -> torch.dtype:
    """The precision the backbone computes in; `auto` is bfloat16 on a GPU and float32 on a processor."""
    if asked == "auto":
        return torch.bfloat16 if on.type == "cuda" else torch.float32  # few processors multiply bfloat16 any faster
    dtype: torch.dtype = getattr(torch, asked)
    return dtype
