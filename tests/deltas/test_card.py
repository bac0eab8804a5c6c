"""A model card: its three lines load the model, its numbers are the records', and names in it show as they are."""

import json
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoTokenizer

from peftcli.deltas import card, export, hub_metadata, recorded
from peftcli.deltas import exported as exported_module
from peftcli.errors import UserError
from peftcli.records import Record
from tests import trained
from tests.deltas import exports
from tests.deltas.exports import LORA, exported
from tests.deltas.test_export import ours, pairs, theirs


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.model(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def lora(base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Record]:
    """The records of a lora with three seeds."""
    return trained.train(tmp_path_factory.mktemp("lora"), base, LORA, seeds=[0, 1, 2])


def write(record: Record, base: Path, out: Path, form: str, **changes: Any) -> str:
    """Write what `apply` writes, and return its card."""
    known = exported(record, str(base), form)
    export.write(known.delta, str(base), out, form, known.recorded, **changes)
    return (out / card.FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize("form", ["transformers", "peft"])
def test_three_lines_load_what_was_written(
    form: str, lora: list[Record], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if form == "peft":
        pytest.importorskip("peft")
    lines = exports.code(write(lora[0], base, tmp_path / "my model", form))
    assert len(lines) == 3
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    exec("\n".join(lines), space)
    wanted = ours(trained.delta(lora[0]), base)
    np.testing.assert_allclose(theirs(space["model"], tmp_path / "my model", *pairs()), wanted, atol=1e-5, rtol=0)
    if form == "transformers":
        own = AutoTokenizer.from_pretrained(base)
        assert space["tokenizer"](*pairs()).input_ids == own(*pairs()).input_ids


def test_three_lines_load_a_token_classifier(tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained.write_rows(tmp_path / "mine")
    task = {"name": "mine", "data": "mine", "kind": "token", "text": "words", "label": "tags"}
    record = trained.train(tmp_path, base, "bitfit", task)[0]
    text = write(record, base, tmp_path / "out", "transformers")
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    exec("\n".join(exports.code(text)), space)
    with torch.no_grad():
        assert space["model"](**space["tokenizer"]("Anna reads", return_tensors="pt")).logits.shape[2] == 2
    assert ModelCard(text).data.pipeline_tag == "token-classification"


@pytest.mark.parametrize("form", ["transformers", "peft"])
def test_numbers_and_facts_are_those_of_the_records(form: str, lora: list[Record], base: Path, tmp_path: Path) -> None:
    if form == "peft":
        pytest.importorskip("peft")
    text = write(lora[1], base, tmp_path / "out", form, license="cc-by-4.0")
    scores = [record.body["evaluations"][-1]["accuracy"] for record in lora]  # type: ignore[typeddict-item]
    row = ["validation", "accuracy", f"{scores[1]:.4f}", f"{np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f}"]
    assert exports.table(text, "Evaluation") == [row]
    assert "Seeds 0, 1, 2; this model is seed 1; divisor n - 1." in text
    facts = dict(exports.table(text, "What it is"))
    body, delta = lora[1].body, trained.delta(lora[1])
    assert (facts["base"], facts["fingerprint of the base"], facts["record"]) == ("base", delta.fingerprint, body["id"])
    assert facts["strategy"] == "lora:alpha=7.0,rank=3"
    counts = body["parameters"]
    assert counts is not None
    share = f"{100 * counts['trainable'] / counts['total']:.4g} %: {counts['trainable']:,} of {counts['total']:,}"
    assert facts["share of the model that it trains"] == f"{share} parameters, and {counts['head']:,} of the head"
    assert facts["licence"] == "cc-by-4.0"
    settings = dict(exports.table(text, "Training"))
    assert (settings["learning\\_rate"], settings["batch\\_size"], settings["seed"]) == ("0.005", "8", "1")
    data = ModelCard(text).data
    (result,) = data.eval_results
    assert (result.dataset_split, result.metric_type, result.metric_value) == ("validation", "accuracy", scores[1])
    assert (data.license, data.library_name, data.base_model) == ("cc-by-4.0", form, None)
    assert data.tags[0] == "peftcli"
    assert str(base) not in text.split("```")[0]  # nobody else has this machine's folders
    assert "- torch " in text


def test_an_adapter_names_its_base_as_the_hub_does(
    lora: list[Record], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft")
    commit = "0123456789abcdef0123456789abcdef01234567"
    for module in (export, card, exported_module, hub_metadata):
        monkeypatch.setattr(module, "on_hub", lambda model: ("org/name", commit))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(remote file|config file in org/name)")  # the hub is not asked
        text = write(lora[0], base, tmp_path / "out", "peft")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("org/name", commit)
    data = ModelCard(text).data
    assert (data.base_model, data.library_name) == ("org/name", "peft")
    assert set(data.tags) >= {"peftcli", "lora", "base_model:adapter:org/name"}
    assert f'from_pretrained("org/name", revision="{commit}", num_labels=2)' in exports.code(text)[1]
    assert str(base) not in text + json.dumps(config)
    assert dict(exports.table(text, "What it is"))["base"] == f"base (on the hub org/name at {commit})"


def test_labels_and_names_show_as_they_are(base: Path, tmp_path: Path) -> None:
    record = trained.train(tmp_path, base, "bitfit", exports.own_task(tmp_path))[0]
    odd = "merged\n---\n```|\x1b"
    text = card.write(exported(record, str(base), folder=odd))
    facts = dict(exports.table(text, "What it is"))
    assert facts["labels"] == r"a\|b \<i\>\`x\`\_ \*y\*, bad"
    assert facts["task"] == "mine: data of one's own"
    assert "\x1b" not in text.split("```")[2]
    line = 'model = AutoModelForSequenceClassification.from_pretrained("./merged\\n---\\n```|\\u001b")'
    assert exports.code(text)[1] == line
    data = ModelCard(text).data
    assert data.model_name == odd
    assert [result.metric_name for result in data.eval_results] == ["f1_macro", "accuracy", "f1"]
    assert data.eval_results[0].metric_args == {"average": "macro"}
    assert data.datasets is None


def test_without_a_record_the_card_says_what_it_does_not_know(lora: list[Record], base: Path) -> None:
    text = card.write(exported(lora[0], str(base), recorded=recorded.NOTHING))
    assert "Not known: no record of the run was at hand." in text
    assert ModelCard(text).data.eval_results is None
    # What follows from the model's sizes is known all the same.
    known = dict(exports.table(card.write(exported(lora[0], str(base))), "What it is"))
    facts = dict(exports.table(text, "What it is"))
    share = "share of the model that it trains"
    assert facts[share] == known[share]
    assert "trained until" not in facts


def test_one_seed_has_no_deviation_and_a_held_out_part_is_said(base: Path, tmp_path: Path) -> None:
    held_out = {"validation_share": 0.25}
    record = trained.train(tmp_path, base, "layernorm", training=held_out)[0]
    text = card.write(exported(record, str(base)))
    rows = exports.table(text, "Evaluation")
    assert [row[0] for row in rows] == [
        "validation (held out of the training set)",
        "test (the official development set)",
    ]
    assert {row[3] for row in rows} == {"-"}
    assert "One seed alone is at hand, which has no deviation." in text
    (result,) = ModelCard(text).data.eval_results
    assert math.isclose(result.metric_value, float(rows[1][2]), abs_tol=5e-5)
    assert result.dataset_split == "validation"  # the data set's own name for it


def test_a_card_of_one_s_own_is_not_written_over(lora: list[Record], base: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / card.FILE).write_text("mine")
    with pytest.raises(UserError, match="is there already and not an empty folder"):
        write(lora[0], base, tmp_path / "out", "transformers")
    assert (tmp_path / "out" / card.FILE).read_text() == "mine"


def test_the_versions_that_trained_it_are_the_record_s(lora: list[Record], base: Path) -> None:
    text = card.write(exported(lora[0], str(base)))
    assert f"- torch {torch.__version__}" in text
    assert f"python {sys.version_info.major}" not in text
