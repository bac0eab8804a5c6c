"""A saved delta gives its record's numbers to the last bit, whatever the strategy and the precision."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from peftcli import records
from peftcli.cli import deltas as command
from peftcli.deltas import evaluating, restoring
from peftcli.deltas import file as deltas
from peftcli.errors import UserError
from tests import tiny, trained

COVERING = ("frozen", "layernorm", "full", "random", "diffpruning", "peft")
STRATEGIES = (
    "frozen", "layernorm", "bitfit", "full", "lora", "adapter", "spafit", "random", "sam", "gradient", "magpruning",
    "layernorm_outlier", "mixout", "childpruning", "diffpruning", "initbias_bitfit", "reinit_bitfit", "peft",
)  # fmt: skip


def evaluations(record: records.Record) -> list[dict[str, Any]]:
    """A record's evaluations that its best weights, or its last, gave."""
    body = record.body
    best = max(body["evaluations"], key=lambda e: (e["accuracy"] if e["split"] == "validation" else -1, -e["step"]))
    restored = body["run"]["protocol"]["restore_best"]
    step = best["step"] if restored else body["evaluations"][-1]["step"]
    return [
        {k: v for k, v in e.items() if k not in ("step", "epoch")} for e in body["evaluations"] if e["step"] == step
    ]


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(name, marks=() if name in COVERING else pytest.mark.whole) for name in STRATEGIES],
)
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
        {"mixout": {"share": 0.3, "when": "evaluation", "mixes": "everything", "mask": "elements"}},
        {"magpruning": {"share": 0.05, "burn_in": 3}},
        {"adapter": {"size": 3, "placement": "houlsby"}},
        {"adapter": {"size": 3, "placement": "pfeiffer"}},
        {"adapter": {"size": 3, "wiring": "before_dropout", "up_deviation": 0.0}},
        {"lora": {"rank": 2, "train_head": False}},
        {"lora": {"rank": 2, "dora": True, "rslora": True}},
        {"lora": {"rank": 2, "alpha": 1.0, "b_start": "uniform", "train_head": False}},
        {"diffpruning": {"share": 0.05, "burn_in": 3, "include_head": True}},
        {"diffpruning": {"share": 0.05, "burn_in": 3, "gate_start": "drawn", "again": 6}},
    ],
    ids=str,
)
def test_restored_best_weights_and_held_out_parts_of_each_seed(strategy: Any, base: Path, tmp_path: Path) -> None:
    settings = {"epochs": 3, "restore_best": True, "evaluate_every": "2 steps", "max_train_samples": 60}
    settings |= {"validation_share": 0.3, "validation_split": "per seed", "evaluate_train": "end"}
    ended = trained.train(tmp_path, base, strategy, seeds=[0, 1, 2], training=settings)
    for record in ended:
        again = evaluating.evaluate(trained.delta(record), str(base))
        assert again == evaluations(record)
        assert [entry["split"] for entry in again] == ["validation", "test", "train"]
    assert len(ended) == 3


@pytest.mark.parametrize(
    ("precision", "strategy"),
    [
        ("bfloat16", "layernorm"),
        ("float64", "random"),
        *(
            pytest.param(precision, strategy, marks=pytest.mark.whole)
            for precision in ("bfloat16", "float64")
            for strategy in ("layernorm", "full", "lora", "random", "childpruning")
            if (precision, strategy) not in (("bfloat16", "layernorm"), ("float64", "random"))
        ),
    ],
)
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


def test_the_command_line(layernorm: Path, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.evaluate(layernorm, "demo", str(base), as_json=True)
    shown = json.loads(capsys.readouterr().out)
    record = records.read(layernorm.with_name(layernorm.name.replace(".delta.safetensors", ".json")))
    assert shown["evaluations"] == evaluations(record)
    with pytest.raises(UserError, match="this delta is of task 'demo', not 'rte'"):
        command.evaluate(layernorm, "rte", str(base))


def test_an_earlier_delta_is_scored_with_a_word_about_its_tokenizer(
    layernorm: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delta = deltas.read(layernorm)
    scored = evaluating.evaluate(delta, str(base))
    assert capsys.readouterr().err == ""
    assert evaluating.evaluate(replace(delta, tokenizer=None), str(base)) == scored
    assert "does not say which tokenizer it was trained with" in capsys.readouterr().err


def test_other_data_is_scored_only_where_it_is_asked_for(
    layernorm: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delta = deltas.read(layernorm)
    elsewhere = replace(delta, data="0" * 16)
    with pytest.raises(UserError, match=f"is not the data of this run: {delta.data}, not 0000000000000000"):
        evaluating.evaluate(elsewhere, str(base))
    assert evaluating.evaluate(elsewhere, str(base), allow_other_data=True)
    assert "the metrics are not those of its record" in capsys.readouterr().err


@pytest.mark.parametrize("strategy", ["frozen", "layernorm", "full", "random", "diffpruning", "reinit_bitfit", "lora"])
def test_a_base_in_bfloat16_gives_the_same_delta_and_the_same_numbers(
    strategy: str, base: Path, tmp_path: Path
) -> None:
    # The same values in two files, so that deltas of either are of both.
    tensors, said = load_file(base / "model.safetensors"), []
    for dtype in (torch.float32, torch.bfloat16):
        folder = tmp_path / str(dtype) / "base"
        shutil.copytree(base, folder)
        save_file({name: tensor.bfloat16().to(dtype) for name, tensor in tensors.items()}, folder / "model.safetensors")
        entry = {strategy: tiny.OPTIONS.get(strategy, {})}
        (record,) = trained.train(tmp_path / str(dtype), folder, entry, training={"precision": "bfloat16"})
        delta = trained.delta(record)
        assert evaluating.evaluate(delta, str(folder)) == evaluations(record)
        weights = restoring.restore(delta, str(folder)).weights()
        said.append((delta.fingerprint, delta.tensors, weights))
    (of_wide, wide, ends_wide), (of_narrow, narrow, ends_narrow) = said
    assert of_wide == of_narrow
    for one, other in ((wide, narrow), (ends_wide, ends_narrow)):
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            assert tensor.dtype == other[name].dtype
            assert torch.equal(tensor, other[name]), name
