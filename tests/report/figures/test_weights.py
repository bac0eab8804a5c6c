"""Weights of a model by module: read whatever the files call them, and put back where a delta has what moved."""

from pathlib import Path

import numpy as np
import pytest

from peftcli.errors import UserError
from peftcli.report.figures import density
from tests.drawn import entry, tiny_model


@pytest.mark.parametrize(("prefix", "old_names"), [("", False), ("bert.", True)])
def test_weights_are_read_by_module_whatever_they_are_called(tmp_path: Path, prefix: str, old_names: bool) -> None:
    tensors = tiny_model(tmp_path / "m", prefix, old_names)
    spec = entry("density")
    found, notes = density.collect(spec, str(tmp_path / "m"), {"none": tmp_path / "gone.safetensors"})
    roles = {
        "multihead": ("attention.self.", "attention.output.dense"),
        "feedforward": ("intermediate.dense", "output.dense"),
        "layernorm_attention": ("attention.output.LayerNorm",),
        "layernorm_ffn": ("output.LayerNorm",),
    }
    for module, parts in roles.items():
        own = [
            value
            for name, value in tensors.items()
            if name.startswith("encoder") and any(name.split(".", 3)[3].startswith(part) for part in parts)
        ]
        assert np.array_equal(np.sort(found["before"][module]), np.sort(np.concatenate([v.ravel() for v in own])))
    assert list(found) == ["before"]
    assert notes == ["After none: no saved weights at gone.safetensors (train with --save-delta)."]


def test_after_weights_replace_what_moved_alone(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    tensors = tiny_model(tmp_path / "m", "", False)
    name = "encoder.layer.1.output.LayerNorm.bias"
    save_file({name: tensors[name] + 5, "head.output.weight": np.ones(3)}, tmp_path / "d.safetensors")
    found, notes = density.collect(entry("density"), str(tmp_path / "m"), {"rte": tmp_path / "d.safetensors"})
    difference = np.sort(found["after rte"]["layernorm_ffn"]).sum() - np.sort(found["before"]["layernorm_ffn"]).sum()
    assert difference == pytest.approx(4 * 5, abs=1e-4)
    assert np.array_equal(found["after rte"]["multihead"], found["before"]["multihead"])
    assert notes == []


def test_weights_that_moved_in_places_are_put_into_the_others(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    tensors = tiny_model(tmp_path / "m", "", False)
    name = "encoder.layer.1.output.dense.weight"
    size = tensors[name].size
    places = np.random.default_rng(0).choice(size, 5, replace=False).astype(np.int32)
    values = np.linspace(8, 9, 5).astype(np.float32)
    saved = {f"{name}::index": places, f"{name}::values": values}
    save_file(saved, tmp_path / "d.safetensors")
    found, notes = density.collect(entry("density"), str(tmp_path / "m"), {"rte": tmp_path / "d.safetensors"})
    before, after = (found[label]["feedforward"] for label in ("before", "after rte"))
    assert np.array_equal(np.sort(after[after != before]), np.sort(values.astype(np.float64)))
    assert np.array_equal(before[after == before], after[after == before])
    assert len(before) - (after == before).sum() == 5
    flat = tensors[name].astype(np.float64).ravel()
    flat[places] = values
    assert after.sum() - before.sum() == pytest.approx(flat.sum() - tensors[name].astype(np.float64).sum())
    assert np.array_equal(found["after rte"]["multihead"], found["before"]["multihead"])
    assert notes == []
    for wrong in (np.array([0, 1, 2, 3, size]), np.array([-1, 0, 1, 2, 3]), np.arange(4)):
        save_file(saved | {f"{name}::index": wrong.astype(np.int32)}, tmp_path / "d.safetensors")
        with pytest.raises(UserError, match=r"encoder\.layer\.1\.output\.dense\.weight does not fit the model"):
            density.collect(entry("density"), str(tmp_path / "m"), {"rte": tmp_path / "d.safetensors"})
