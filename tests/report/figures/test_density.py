"""Densities of weights: every weight in range counted, after a real delta too, and missing ones said."""

from pathlib import Path

import numpy as np
import pytest

from peftcli.errors import UserError
from peftcli.records import beside
from peftcli.report import figures
from peftcli.report.figures import density, weights
from tests.drawn import entry, study_of, tiny_model


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
