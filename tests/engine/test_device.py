"""The device to train on, and the precision that is meant there."""

import pytest
import torch

from peftcli.engine import device

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("asked", "on", "dtype"),
    [
        ("auto", CPU, torch.float32),
        ("auto", GPU, torch.bfloat16),
        ("float32", GPU, torch.float32),
        ("bfloat16", CPU, torch.bfloat16),
        ("float64", CPU, torch.float64),
    ],
)
def test_auto_is_what_the_device_is_fast_in(asked: str, on: torch.device, dtype: torch.dtype) -> None:
    assert device.resolve_precision(asked, on) is dtype


def test_a_process_trains_on_its_own_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    for there, expected in ((True, GPU), (False, CPU)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert device.default_device() == expected
