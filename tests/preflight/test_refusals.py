"""What a recipe is refused for is refused by `doctor`, `sweep` and `train` before anything trains, in the same words."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.preflight import refusals
from peftcli.preflight.refusals import Refusal
from tests import folders
from tests.commandline import Command, runner

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 437955512\n"
UNLIMITED = {
    "tokenizer_config.json": {"model_max_length": int(1e30)}
}  # a tokenizer that does not say how long is too long
GOOD = "text,label\n" + "".join(f"anna bought a hat,{'ab'[at % 2]}\n" for at in range(12))


@dataclass(frozen=True)
class Case:
    """A small model, task or strategy with one fault, and the words that all commands have for it."""

    said: str
    config: dict[str, Any] = field(default_factory=dict)  # entries of config.json, the weights left as they were
    built: dict[str, Any] = field(default_factory=dict)  # sizes that the weights have too
    json_files: dict[str, dict[str, Any]] = field(default_factory=dict)  # entries of the folder's other files
    broken: Callable[[Path], object] = lambda folder: None
    strategy: dict[str, Any] = field(default_factory=dict)  # its name and options; layernorm by default
    settings: dict[str, Any] = field(default_factory=dict)
    own: str | None = None  # the training file of a task of one's own, which `train` does not know


def content(name: str, text: str) -> Callable[[Path], object]:
    """What writes this text in the place of a model's file."""
    return lambda folder: (folder / name).write_text(text)


CASES = {
    "decoder": Case("its config says is_decoder: true", config={"is_decoder": True}),
    "relative positions": Case("position_embedding_type", config={"position_embedding_type": "relative_key"}),
    "quantised": Case("quantization_config", config={"quantization_config": {"load_in_8bit": True}}),
    "fewer layers": Case("holds 2 layers, and config.json says num_hidden_layers: 1", config={"num_hidden_layers": 1}),
    "more layers": Case("holds 2 layers, and config.json says num_hidden_layers: 9", config={"num_hidden_layers": 9}),
    "other vocabulary": Case("and config.json says 500", config={"vocab_size": 500}),
    "heads": Case("is not a multiple of the number of attention heads (3)", config={"num_attention_heads": 3}),
    "activation": Case("transformers does not know 'nope'", config={"hidden_act": "nope"}),
    "architecture": Case("unknown architecture 'gptj'", config={"model_type": "gptj"}),
    "pointer": Case("is a git-LFS pointer", broken=content("model.safetensors", POINTER)),
    "empty weights": Case("model.safetensors is empty", broken=content("model.safetensors", "")),
    "a page for weights": Case(
        "is not a safetensors file", broken=content("model.safetensors", "<html>not found</html>")
    ),
    "no weights": Case("holds no weights", broken=lambda folder: (folder / "model.safetensors").unlink()),
    "no config": Case("cannot read model config", broken=lambda folder: (folder / "config.json").unlink()),
    "no tokenizer": Case("knows no words", broken=lambda folder: (folder / "tokenizer.json").unlink()),
    "broken tokenizer": Case("cannot load the tokenizer", broken=content("tokenizer.json", "{")),
    "positions": Case(
        "has positions for 12: max_length 12 or less", built={"max_position_embeddings": 12}, json_files=UNLIMITED
    ),
    "types": Case("gives token type 1 to a second text", built={"type_vocab_size": 1}),
    "max_length": Case("leaves no", settings={"max_length": 5, "overlong": "drop"}),
    "training set": Case("train_size 9999 is more than there are", settings={"train_size": 9999}),
    "groups": Case("spafit needs three groups of layers", strategy={"spafit": {"groups": [4, 9]}}),
    "selects nothing": Case("selects nothing", strategy={"random": {"share": 1e-9}}),
    "compiled elements": Case(
        "compile: true: not for strategy random on a bert",
        strategy={"random": {"share": 0.1}},
        settings={"compile": True},
    ),
    "compiled insertion": Case(
        "compile: true: not for strategy lora on a bert",
        strategy={"lora": {"rank": 2, "alpha": 4.0}},
        settings={"compile": True},
    ),
    "compiled aids": Case(
        "compile: true: not for strategy diffpruning on a bert",
        strategy={"diffpruning": {"share": 0.1}},
        settings={"compile": True},
    ),
    "layer": Case("layer 7 does not exist", strategy={"layernorm": {"layers": [7]}}),
    "peft type": Case("Please specify `target_modules`", strategy={"peft": {"type": "LN_TUNING"}}),
    "peft target": Case("not found in the base model", strategy={"peft": {"type": "LORA", "target_modules": "nope"}}),
    "peft weights": Case(
        "changes pre-trained weights", strategy={"peft": {"type": "LORA", "init_lora_weights": "pissa"}}
    ),
    "peft step": Case("cannot train", strategy={"peft": {"type": "TRAINABLE_TOKENS"}}),
    "peft length": Case("cannot train", strategy={"peft": {"type": "PROMPT_TUNING", "num_virtual_tokens": 39}}),
    "own column": Case("unknown column 'text'", own="words,label\na,b\nb,a\n"),
    "own rows": Case("holds no rows", own="text,label\n"),
    "own fields": Case("line 3 has 1 fields", own="text,label\na,b\nb\n"),
    "own file": Case("does not exist", own=None, settings={"own": "missing"}),
}


@pytest.fixture
def peftcli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """The command line in this process, its cache of tokenised data in the test's folder."""
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    return runner(monkeypatch, capsys)


def written(case: Case, folder: Path) -> tuple[Path, Path]:
    """Write the case's model and recipe; returns both."""
    model = folders.bert(folder / "model", **case.built)
    for name, entries in {"config.json": case.config, **case.json_files}.items():
        (model / name).write_text(json.dumps({**json.loads((model / name).read_text()), **entries}))
    case.broken(model)
    settings = dict(case.settings)
    task: Any = "demo"
    if case.own is not None or settings.pop("own", None):
        task = {"name": "mine", "data": "mine", "text": "text"}
    if case.own is not None:
        (folder / "mine").mkdir()
        (folder / "mine" / "train.csv").write_text(case.own)
        (folder / "mine" / "validation.csv").write_text(GOOD)
    training = {"epochs": 1, "batch_size": 8, "max_length": 32, **settings}
    strategies = [case.strategy or "layernorm"]
    recipe = folders.recipe(folder / "one.yaml", model, tasks=[task], strategies=strategies, training=training)
    return model, recipe


@pytest.mark.filterwarnings("ignore:Token type ids")
@pytest.mark.parametrize("name", CASES)
def test_doctor_sweep_and_train_refuse_the_same_in_the_same_words(name: str, peftcli: Command, tmp_path: Path) -> None:
    case, output = CASES[name], tmp_path / "out"
    model, recipe = written(case, tmp_path)
    swept = peftcli("sweep", recipe, "--output", output)
    assert swept.is_one_line, swept
    message = swept.err.removeprefix("peftcli: ").rstrip("\n")
    assert case.said in message
    report = json.loads(peftcli("doctor", recipe, "--output", output, "--json").out)
    assert [refusal["message"] for refusal in report["refused"]] == [message]
    printed = peftcli("doctor", recipe, "--output", output)
    assert (printed.code, printed.out.count(message)) == (1, 1)
    if "mine" not in recipe.read_text():
        ((strategy, options),) = (case.strategy or {"layernorm": {}}).items()
        chosen = ",".join(f"{key}={'-'.join(map(str, v)) if isinstance(v, list) else v}" for key, v in options.items())
        settings = {"max_length": 32, **case.settings}
        sets = [part for key, value in settings.items() for part in ("--set", f"{key}={json.dumps(value)}")]
        arguments = ("--model", model, "--task", "demo", "--strategy", f"{strategy}:{chosen}" if chosen else strategy)
        trained = peftcli("train", *arguments, *sets, "--output", output)
        assert trained.is_one_line, trained
        assert trained.err == swept.err
    assert not output.exists()  # nothing is recorded, not even a size of cohorts


def two_tasks(folder: Path, bad: str, **changes: Any) -> Path:
    """A recipe on `demo` and two tasks of one's own, the second of which is bad."""
    for name, text in (("good", GOOD), ("bad", bad)):
        (folder / name).mkdir()
        (folder / name / "train.csv").write_text(text)
        (folder / name / "validation.csv").write_text(GOOD)
    tasks = [{"name": name, "data": name, "text": "text"} for name in ("good", "bad")]
    model = folders.bert(folder / "model")
    plain: dict[str, Any] = {
        "strategies": ["bitfit"],
        "learning_rates": [1e-3],
        "seeds": [0],
        "tasks": [*tasks, "demo"],
    }
    return folders.recipe(folder / "two.yaml", model, **{**plain, **changes})


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("text,label\nx,b\nx\n", "line 3 has 1 fields"),
        ("words,label\nx,a\ny,b\n", "unknown column 'text'"),
        ("text,label\n", "holds no rows"),
    ],
)
def test_a_task_s_refusal_keeps_its_own_runs_alone_from_training(
    bad: str, said: str, peftcli: Command, tmp_path: Path
) -> None:
    recipe, output = two_tasks(tmp_path, bad), tmp_path / "out"
    ended = peftcli("sweep", recipe, "--output", output)
    assert ended.code == 1
    lines = [line for line in ended.err.splitlines() if line.startswith("refused: ")]
    assert len(lines) == 2  # before the first run, and after the last
    assert len(set(lines)) == 1
    assert said in lines[0]
    assert "2 of 2 runs completed" in ended.err
    assert sorted(path.parent.name for path in output.glob("[!.]*/*.json")) == ["demo", "good"]
    again = peftcli("sweep", recipe, "--output", output)
    assert again.is_one_line  # what is left is the refused task alone
    assert said in again.err
    chosen = peftcli("sweep", recipe, "--output", output, "--only", "task=good")
    assert (chosen.code, "refused" in chosen.err) == (0, False)
    assert peftcli("sweep", recipe, "--output", output, "--only", "task=bad").err == again.err


def test_a_task_refused_after_it_was_tokenised_leaves_the_others(peftcli: Command, tmp_path: Path) -> None:
    long = GOOD + f"{'anna bought a hat ' * 20},a\n"
    recipe, output = two_tasks(tmp_path, long, training={"epochs": 1, "max_length": 64}), tmp_path / "out"
    config = tmp_path / "model" / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **UNLIMITED["tokenizer_config.json"]}))
    ended = peftcli("sweep", recipe, "--output", output)
    assert ended.code == 1
    words = "refused: task bad, split train: a sequence has 64 word pieces, and the model has positions for 40"
    assert ended.err.count(words) == 2
    assert sorted(path.parent.name for path in output.glob("[!.]*/*.json")) == ["demo", "good"]


TAGGED = {"words": ["anna", "bought"], "tags": ["O", "B-X"]}


@pytest.mark.parametrize(
    ("tags", "words", "said"),
    [
        ([1, 2], ["anna", "bought"], "split validation: metric 'entity_f1' reads labels like O, B-PER, I-PER, not '1'"),
        (["O", "U-X"], ["anna", "bought"], "split validation: metric 'entity_f1' reads labels like O, .* not 'U-X'"),
        (["O", "B-X"], ["\u200b", "\u200b"], "split train: not one word that is labelled has a word piece"),
    ],
)
def test_a_token_task_that_no_metric_can_score(
    tags: list[Any], words: list[str], said: str, peftcli: Command, tmp_path: Path
) -> None:
    for folder, row in (("good", TAGGED), ("bad", {"words": words, "tags": tags})):
        (tmp_path / folder).mkdir()
        for split in ("train", "validation"):
            (tmp_path / folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for _ in range(6)))
    entry = {"text": "words", "label": "tags", "kind": "token", "metric": "entity_f1"}
    tasks = [{"name": name, "data": name, **entry} for name in ("bad", "good")]
    model, plain = folders.bert(tmp_path / "model"), {"learning_rates": [1e-3], "seeds": [0], "strategies": ["bitfit"]}
    recipe = folders.recipe(tmp_path / "tags.yaml", model, tasks=tasks, **plain)
    ended = peftcli("sweep", recipe, "--output", tmp_path / "out")
    assert ended.code == 1
    assert len(re.findall(rf"refused: task bad, {said}", ended.err)) == 2
    assert "1 of 2 runs completed" in ended.err


def test_a_mistake_in_the_recipe_stops_all_of_it(peftcli: Command, tmp_path: Path) -> None:
    recipe = two_tasks(tmp_path, GOOD)
    document = json.loads(recipe.read_text())
    document["tasks"][1]["txt"] = "x"
    recipe.write_text(json.dumps(document))
    ended = peftcli("sweep", recipe, "--output", tmp_path / "out")
    assert ended.is_one_line
    assert "unknown key 'txt'" in ended.err
    assert not (tmp_path / "out").exists()


def test_where_nothing_is_left_every_refusal_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = Refusal("task a", "a is wrong", "a"), Refusal("task b", "b is wrong", "b")
    assert refusals.settle([first], {"a", "b"}) == {"a"}
    assert capsys.readouterr().err == "refused: a is wrong\n"
    assert refusals.settle([], {"a"}) == frozenset()
    with pytest.raises(UserError, match="b is wrong"):
        refusals.settle([first, second], {"a", "b"})
    assert capsys.readouterr().err == "peftcli: a is wrong\n"
    with pytest.raises(UserError, match="no weights"):
        refusals.settle([Refusal("model m", "no weights")], {"a", "b"})
