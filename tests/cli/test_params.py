"""`peftcli params`: a recipe's strategies or a single one, as a table and as JSON."""

import json

import pytest

from tests.commandline import Command


def test_params_as_json(peftcli: Command) -> None:
    ended = peftcli("params", "transferability/table1", "--json")
    rows = {row["label"]: row for row in json.loads(ended.out)}
    assert ended.code == 0
    assert rows["LayerNorms"]["trainable"] == 36864
    keys = {"strategy", "options", "total", "trainable", "head", "trainable_percent"}
    assert all(keys <= set(row) for row in rows.values())


def test_one_strategy_as_a_table(peftcli: Command) -> None:
    ended = peftcli("params", "--strategy", "layernorm:layers=1", "--labels", "3")
    assert ended.code == 0
    heads, numbers = (line.split() for line in ended.out.splitlines())
    assert heads[-2:] == ["percent", "printed"]
    # Two LayerNorms of 2 * 768, and a head of 3 * 768 + 3.
    assert numbers == ["layernorm:layers=1", "3,072", "2,307", "5,379", "109,482,240", "0.0028"]


def test_settings_that_change_no_count_are_refused(peftcli: Command) -> None:
    ended = peftcli("params", "--strategy", "full", "--set", "epochs=3")
    assert ended.is_one_line
    assert "--set head=… alone, not 'epochs'" in ended.err


@pytest.mark.parametrize("model", ["gpt2", "EleutherAI/pythia-410m", "Qwen/Qwen3-0.6B"])
def test_a_decoder_s_count_says_what_is_left_out(model: str, peftcli: Command) -> None:
    ended = peftcli("params", "--model", model, "--strategy", "layernorm")
    said = f"{model}: its language-model head is neither loaded nor counted; embeddings that it shares count once"
    assert ended.out.splitlines()[2:] == [said]
    assert "language-model" not in peftcli("params", "--model", "bert-base-uncased", "--strategy", "layernorm").out
