"""Deltas: only what moved is stored, the record's numbers come back to the last bit, and what is damaged is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from peftcli import records
from peftcli.cli import deltas as command
from peftcli.deltas import evaluating, restoring
from peftcli.deltas import file as deltas
from peftcli.deltas.file import Delta, Members
from peftcli.errors import UserError
from peftcli.models.catalogue import PUBLISHED_SIZES
from peftcli.models.tensors import pretrained_parameters
from peftcli.records import beside
from tests import folders, tiny, trained

STRATEGIES = (
    "frozen", "layernorm", "bitfit", "full", "lora", "adapter", "spafit", "random", "sam", "magpruning",
    "layernorm_outlier", "mixout", "childpruning", "diffpruning", "initbias_bitfit", "reinit_bitfit", "peft",
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "delta-cache"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.bert(tmp_path_factory.mktemp("delta") / "base", num_hidden_layers=3)


@pytest.fixture(scope="module")
def layernorm(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = trained.train(tmp_path_factory.mktemp("layernorm"), base, "layernorm")[0]
    return beside.delta(record.path)


def evaluations(record: records.Record) -> list[dict[str, Any]]:
    """A record's evaluations that its best weights, or its last, gave."""
    body = record.body
    best = max(body["evaluations"], key=lambda e: (e["accuracy"] if e["split"] == "validation" else -1, -e["step"]))
    restored = body["run"]["protocol"]["restore_best"]
    step = best["step"] if restored else body["evaluations"][-1]["step"]
    return [
        {k: v for k, v in e.items() if k not in ("step", "epoch")} for e in body["evaluations"] if e["step"] == step
    ]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_cohort_s_runs_are_evaluated_again_to_the_last_bit(strategy: str, base: Path, tmp_path: Path) -> None:
    entry = {strategy: tiny.OPTIONS.get(strategy, {})}
    ended = trained.train(tmp_path, base, entry, learning_rates=[5e-3, 2e-2], seeds=[0, 1], cohort=3)
    assert {record.body["cost"]["cohort"] for record in ended} == {3, 1}
    for record in ended:
        assert evaluating.evaluate(trained.delta(record), str(base)) == evaluations(record)


@pytest.mark.parametrize(
    "strategy",
    [
        "layernorm",
        {"mixout": {"share": 0.3, "when": "evaluation"}},
        {"magpruning": {"share": 0.05, "burn_in": 3}},
        {"lora": {"rank": 2, "train_head": False}},
        {"diffpruning": {"share": 0.05, "burn_in": 3, "include_head": True}},
    ],
    ids=str,
)
def test_restored_best_weights_and_held_out_parts_of_each_seed(strategy: Any, base: Path, tmp_path: Path) -> None:
    settings = {"epochs": 3, "restore_best": True, "evaluate_every": "2 steps", "max_train_samples": 60}
    settings |= {"validation_share": 0.3, "validation_split": "per seed"}
    ended = trained.train(tmp_path, base, strategy, seeds=[0, 1, 2], training=settings)
    for record in ended:
        assert evaluating.evaluate(trained.delta(record), str(base)) == evaluations(record)
    assert len(ended) == 3


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
@pytest.mark.parametrize("strategy", ["layernorm", "full", "lora", "random", "childpruning"])
def test_other_precisions_come_back_to_the_last_bit_too(
    precision: str, strategy: str, base: Path, tmp_path: Path
) -> None:
    entry = {strategy: tiny.OPTIONS.get(strategy, {})}
    ended = trained.train(tmp_path, base, entry, seeds=[0, 1], training={"precision": precision})
    for record in ended:
        delta = trained.delta(record)
        wide = torch.float64 if precision == "float64" else torch.float32
        assert {t.dtype for n, t in delta.tensors.items() if not n.endswith(deltas.INDEX)} == {wide}
        assert evaluating.evaluate(delta, str(base)) == evaluations(record)


def test_the_record_is_the_same_without_a_delta(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    first = trained.train(tmp_path / "with", base, "bitfit")[0]
    monkeypatch.setattr(deltas, "write", lambda *_: None)
    second = trained.train(tmp_path / "without", base, "bitfit")[0]
    assert beside.delta(first.path).exists()
    assert not beside.delta(second.path).exists()
    assert {k: v for k, v in first.body.items() if k != "cost"} == {k: v for k, v in second.body.items() if k != "cost"}


def test_only_what_moved_is_stored(layernorm: Path) -> None:
    names = set(load_file(layernorm))
    gains = {name for name in names if "LayerNorm" in name}
    assert names - gains == {"head.out.weight", "head.out.bias"}
    assert len(gains) == 2 * 2 * 3


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


def test_a_diverged_run_leaves_none(base: Path, tmp_path: Path) -> None:
    record = trained.train(
        tmp_path, base, "full", learning_rates=[1e30], training={"epochs": 3, "max_grad_norm": None}
    )[0]
    assert record.status == "diverged"
    assert not beside.delta(record.path).exists()


def test_the_command_line(layernorm: Path, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.evaluate(layernorm, "demo", str(base), as_json=True)
    shown = json.loads(capsys.readouterr().out)
    record = records.read(layernorm.with_name(layernorm.name.replace(".delta.safetensors", ".json")))
    assert shown["evaluations"] == evaluations(record)
    with pytest.raises(UserError, match="this delta is of task 'demo', not 'rte'"):
        command.evaluate(layernorm, "rte", str(base))
