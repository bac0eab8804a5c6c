"""Deltas: only what moved is stored, and what is damaged is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from peftcli.deltas import file as deltas
from peftcli.deltas.file import Delta, Members
from peftcli.errors import UserError
from peftcli.models.published import PUBLISHED_SIZES
from peftcli.models.tensors import pretrained_parameters
from peftcli.records import beside
from tests import tiny, trained


def test_the_record_is_the_same_without_a_delta(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    first = trained.train(tmp_path / "with", base, "bitfit")[0]
    monkeypatch.setattr(deltas, "write", lambda *_: None)
    second = trained.train(tmp_path / "without", base, "bitfit")[0]
    assert beside.delta(first.path).exists()
    assert not beside.delta(second.path).exists()
    assert {k: v for k, v in first.body.items() if k != "cost"} == {k: v for k, v in second.body.items() if k != "cost"}


@pytest.mark.parametrize("strategy", ["full", "layernorm", "random", "lora", "childpruning", "layernorm_random"])
def test_a_record_says_how_many_bytes_its_delta_takes(
    strategy: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry: dict[str, Any] = {strategy: tiny.OPTIONS.get(strategy, {})}
    record = trained.train(tmp_path, base, entry, learning_rates=[5e-3, 1e-2])[1]
    data = beside.delta(record.path).read_bytes()
    # A safetensors file: eight bytes with the length of its header, the header, and nothing but the tensors.
    assert record.body["cost"]["delta_bytes"] == len(data) - 8 - int.from_bytes(data[:8], "little") > 0
    monkeypatch.setattr(deltas, "write", lambda *_: None)
    (tmp_path / "without").mkdir()
    unsaved = trained.train(tmp_path / "without", base, entry, learning_rates=[5e-3, 1e-2])[1]
    assert not beside.delta(unsaved.path).exists()
    assert unsaved.body["cost"]["delta_bytes"] == record.body["cost"]["delta_bytes"]


def test_only_what_moved_is_stored(layernorm: Path) -> None:
    names = set(load_file(layernorm))
    gains = {name for name in names if "LayerNorm" in name}
    assert names - gains == {"head.out.weight", "head.out.bias"}
    assert len(gains) == 2 * 2 * 3


@pytest.mark.parametrize("strategy", ["childpruning", "diffpruning"])
def test_pruned_differences_take_no_room_for_what_stayed(strategy: str, base: Path, tmp_path: Path) -> None:
    delta = trained.delta(trained.train(tmp_path, base, {strategy: tiny.OPTIONS[strategy]})[0])
    start = load_file(base / "model.safetensors")
    stored = sum(t.numel() for n, t in delta.tensors.items() if n.endswith(deltas.VALUES))
    assert stored <= 0.055 * sum(t.numel() for t in start.values())
    assert not [n for n in delta.tensors if "::" not in n and not n.startswith("head.") and n in start]


def test_layernorms_of_bert_base_are_under_200_kb(layernorm: Path) -> None:
    delta = deltas.read(layernorm)
    config = PUBLISHED_SIZES["bert-base-uncased"]
    shapes = {p.name: p.shape for p in pretrained_parameters(config, pooler=True) if "LayerNorm" in p.name}
    shapes |= {"head.out.weight": (2, 768), "head.out.bias": (2,)}
    tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
    whole = Delta(
        delta.run, "bert-base-uncased", "0" * 16, "0" * 16, delta.labels, Members(tuple(range(56)), 0, {}), tensors
    )
    assert 4 * 39_938 < len(deltas.encode(whole)) < 200_000


def test_metadata_is_json_and_says_where_the_delta_belongs(layernorm: Path) -> None:
    with safe_open(layernorm, framework="numpy") as opened:
        about = {key: json.loads(text) for key, text in opened.metadata().items() if key != "sha256"}
    assert (about["format"], about["model"]) == (1, "base")
    assert about["labels"] == ["entailment", "not_entailment"]
    assert about["run"]["strategy"] == "layernorm"
    assert len(about["fingerprint"]) == 16
    assert "/" not in json.dumps(about).replace("1/", "")


def test_a_delta_of_an_earlier_version_reads_without_its_tokenizer(layernorm: Path, tmp_path: Path) -> None:
    delta = deltas.read(layernorm)
    assert delta.tokenizer is not None
    assert len(delta.tokenizer) == 16
    (tmp_path / "x.safetensors").write_bytes(deltas.encode(replace(delta, tokenizer=None)))
    earlier = deltas.read(tmp_path / "x.safetensors")
    assert earlier.tokenizer is None
    assert (earlier.run, earlier.members) == (delta.run, delta.members)


@pytest.mark.parametrize("place", [0.02, 0.5, 0.999])
def test_a_flipped_bit_is_found(place: float, layernorm: Path, tmp_path: Path) -> None:
    data = bytearray(layernorm.read_bytes())
    data[int(place * len(data))] ^= 4
    (tmp_path / "x.safetensors").write_bytes(data)
    with pytest.raises(UserError, match=r"damaged|no delta|not one that"):
        deltas.read(tmp_path / "x.safetensors")


def test_what_is_no_delta_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    with pytest.raises(UserError, match="does not exist"):
        deltas.read(file)
    file.write_bytes(b"\x80\x04\x95 a pickle")
    with pytest.raises(UserError, match="is no delta"):
        deltas.read(file)
    save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(UserError, match="not one that --save-delta wrote"):
        deltas.read(file)


def test_a_diverged_run_leaves_none(base: Path, tmp_path: Path) -> None:
    record = trained.train(
        tmp_path, base, "full", learning_rates=[1e30], training={"epochs": 3, "max_grad_norm": None}
    )[0]
    assert record.status == "diverged"
    assert record.body["cost"]["delta_bytes"] is None
    assert not beside.delta(record.path).exists()
