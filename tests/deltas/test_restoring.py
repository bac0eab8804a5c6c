"""A delta put back on its base: its weights, and the refusal of one that does not fit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from peftcli.deltas import file as deltas
from peftcli.deltas import restoring
from peftcli.deltas.file import Delta
from peftcli.errors import UserError
from tests import trained


def test_sparse_values_are_the_base_s_with_some_replaced(base: Path, tmp_path: Path) -> None:
    delta = trained.delta(trained.train(tmp_path, base, {"random": {"share": 0.01}})[0])
    weights, start = restoring.restore(delta, str(base)).weights(), load_file(base / "model.safetensors")
    places = [name for name in delta.tensors if name.endswith(deltas.INDEX)]
    assert {delta.tensors[name].dtype for name in places} == {torch.int32}
    for name in (place.removesuffix(deltas.INDEX) for place in places):
        moved = (weights[name] != start[name]).flatten().nonzero()[:, 0]
        assert set(moved.tolist()) <= set(delta.tensors[name + deltas.INDEX].tolist())
        assert torch.equal(
            weights[name].flatten()[delta.tensors[name + deltas.INDEX].long()], delta.tensors[name + deltas.VALUES]
        )
    assert sum(len(delta.tensors[name]) for name in places) == round(0.01 * sum(t.numel() for t in start.values()))


def test_a_delta_that_does_not_fit_is_refused(layernorm: Path, base: Path) -> None:
    delta = deltas.read(layernorm)
    for tensors, message in (
        ({"encoder.layer.9.bias": torch.zeros(2)}, "moves a tensor 'encoder.layer.9.bias', which the base"),
        ({"head.out.bias": torch.zeros(3)}, r"'head.out.bias' has shape \(3,\), not \(2,\)"),
    ):
        changed = Delta(**{**vars(delta), "tensors": delta.tensors | tensors})
        with pytest.raises(UserError, match=message):
            restoring.restore(changed, str(base))
    lacking = {name: t for name, t in delta.tensors.items() if name != "head.out.bias"}
    with pytest.raises(UserError, match=r"lacks the tensor 'head.out.bias'"):
        restoring.restore(Delta(**{**vars(delta), "tensors": lacking}), str(base))
