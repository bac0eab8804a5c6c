"""Densities of weights: read from files by module, counted whole, and missing ones said."""

from pathlib import Path

import numpy as np
import pytest

from peftcli.errors import UserError
from peftcli.records import beside
from peftcli.report import figures
from peftcli.report.figures import density, weights
from tests.drawn import entry, study_of, tiny_model


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


def test_a_real_delta_of_random_weights_gives_the_weights_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peftcli.deltas import file as deltas
    from peftcli.deltas import restoring
    from tests import folders, trained

    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    model = folders.bert(tmp_path / "tiny-bert")
    (record,) = trained.train(tmp_path / "run", model, {"random": {"share": 0.1}})
    file = beside.delta(record.path)
    assert any("::index" in name for name in deltas.read(file).tensors)
    found, notes = density.collect(entry("density"), str(model), {"run": file})
    whole = restoring.restore(deltas.read(file), str(model)).weights()
    base = weights.read(model, weights.names(weights.anatomy(str(model)), ["multihead", "feedforward"]))
    after = weights.by_module(
        base | {name: tensor.numpy() for name, tensor in whole.items() if name in base},
        weights.anatomy(str(model)), ["multihead", "feedforward"],
    )  # fmt: skip
    for module in ("multihead", "feedforward"):
        assert np.array_equal(found["after run"][module], after[module])
    moved = sum(int((found["after run"][m] != found["before"][m]).sum()) for m in after)
    assert 0 < moved < 0.15 * sum(len(found["before"][m]) for m in after)
    assert notes == []


def test_densities_count_every_weight_in_range() -> None:
    source = np.random.default_rng(0)
    before, after = source.normal(size=5000), source.normal(3, 1, 5000)
    first, second = density.outlines([before, after], 0.9)
    low, high = np.quantile(before, [0.05, 0.95])
    assert (first.edges[0], first.edges[-1]) == pytest.approx((low, high))
    assert second.kept == sum(low <= value <= high for value in after)
    assert (first.heights * np.diff(first.edges)).sum() == pytest.approx(first.kept / 5000)
    assert (second.heights * np.diff(second.edges)).sum() == pytest.approx(second.kept / 5000)


def test_weights_not_at_hand_are_said_and_damaged_ones_refused(tmp_path: Path) -> None:
    study = study_of(tmp_path, lambda planned: "missing")
    drawing = figures.draw(entry("density", model="/nowhere/at/all"), study)
    assert "not on this machine" in drawing.description
    tiny_model(tmp_path / "m", "", False)
    (tmp_path / "m" / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(UserError, match="cannot read weights"):
        figures.draw(entry("density", model=str(tmp_path / "m")), study)
