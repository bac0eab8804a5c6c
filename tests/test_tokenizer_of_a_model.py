"""Every command that reads text with a model's tokenizer refuses one without words, and another than a delta's."""

import json
import shutil
from pathlib import Path

import pytest

from peftcli import records
from peftcli.records import beside
from tests import commandline, folders, trained
from tests.commandline import Command

WORDLESS = "knows no words, special tokens alone: put its files"


@pytest.fixture
def peftcli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    return commandline.runner(monkeypatch, capsys)


@pytest.fixture(scope="module")
def delta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The delta of a run on a small model, which lies beside it as `base`."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEFTCLI_CACHE_DIR", str(folder / "cache"))
        record = trained.train(folder, folders.bert(folder / "base"), "layernorm")[0]
    return beside.delta(record.path)


def base_of(delta: Path, copy: Path) -> Path:
    """A copy of the delta's base."""
    return Path(shutil.copytree(delta.parents[2] / "base", copy / "base"))


def commands(delta: Path, base: Path, folder: Path) -> dict[str, list[object]]:
    """Every command that reads text, each on this base."""
    recipe = folders.recipe(folder / "recipe.yaml", base, seeds=[0], learning_rates=[1e-3])
    texts = folder / "texts.jsonl"
    texts.write_text(json.dumps({"sentence1": "Alice bought a red car.", "sentence2": "The car is red."}))
    here = ["--output", folder / "results"]
    return {
        "train": ["train", "--strategy", "layernorm", "--task", "demo", "--model", base, *here],
        "sweep": ["sweep", recipe, *here],
        "evaluate": ["evaluate", delta, "--model", base],
        "predict": ["predict", delta, "--input", texts, "--model", base],
        "apply": ["apply", delta, "--out", folder / "out", "--model", base],
    }


@pytest.mark.parametrize("kept", ["nothing", "tokenizer_config.json", "special tokens"])
def test_a_model_without_its_tokenizer_is_refused_by_all(
    kept: str, delta: Path, peftcli: Command, tmp_path: Path
) -> None:
    base = base_of(delta, tmp_path)
    content = json.loads((base / "tokenizer.json").read_text())
    (base / "tokenizer.json").unlink()
    if kept == "nothing":
        (base / "tokenizer_config.json").unlink()
    if kept == "special tokens":
        content["model"]["vocab"] = dict(list(content["model"]["vocab"].items())[:5])
        (base / "tokenizer.json").write_text(json.dumps(content))
    for name, arguments in commands(delta, base, tmp_path).items():
        ended = peftcli(*arguments)
        # A sweep says first how many runs there are.
        assert (ended.code, ended.out) == (2, ""), name
        assert WORDLESS in ended.err.splitlines()[-1], name
    assert not list(tmp_path.glob("results/demo/*.json"))
    assert not (tmp_path / "out").exists()
    examined = peftcli("doctor", tmp_path / "recipe.yaml", "--output", tmp_path / "results")
    assert examined.code == 1
    assert WORDLESS in examined.out


def _other_case(content: dict) -> None:
    content["normalizer"]["lowercase"] = False


def _other_words(content: dict) -> None:
    words = list(content["model"]["vocab"])
    content["model"]["vocab"] = {word: at for at, word in enumerate([*words[:-2], words[-1], words[-2]])}


def _other_markers(content: dict) -> None:
    content["post_processor"]["sep"] = ["[MASK]", 4]


@pytest.mark.parametrize("change", [_other_case, _other_words, _other_markers])
def test_a_delta_is_not_used_with_another_tokenizer(change, delta: Path, peftcli: Command, tmp_path: Path) -> None:
    base = base_of(delta, tmp_path)
    content = json.loads((base / "tokenizer.json").read_text())
    change(content)
    (base / "tokenizer.json").write_text(json.dumps(content))
    # An exported tokenizer's class would set the case anew.
    (base / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    asked = commands(delta, base, tmp_path)
    for name in ("evaluate", "predict", "apply"):
        ended = peftcli(*asked[name])
        assert ended.is_one_line, (name, ended)
        assert "this delta is of another tokenizer: of base with fingerprint" in ended.err, name
    assert not (tmp_path / "out").exists()


def test_with_its_own_tokenizer_it_is(delta: Path, peftcli: Command, tmp_path: Path) -> None:
    # In a folder of another name, as another program saved it.
    from transformers import AutoTokenizer

    base = base_of(delta, tmp_path).rename(tmp_path / "elsewhere")
    AutoTokenizer.from_pretrained(base).save_pretrained(base)
    asked = commands(delta, base, tmp_path)
    assert [peftcli(*asked[name]).code for name in ("evaluate", "predict", "apply")] == [0, 0, 0]
    record = records.read(next(delta.parent.glob("*.json")))
    assert record.body["data"] is not None
    assert len(record.body["data"]["tokenizer_fingerprint"]) == 16
    assert record.body["data"]["unknown"] == {}
