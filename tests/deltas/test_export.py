"""What `apply` writes: stock transformers models, and peft's, give the logits that the run itself gives."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers.processors import TemplateProcessing
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer

from peftcli.data.loading import prepare
from peftcli.deltas import export, padding, restoring
from peftcli.deltas.file import Delta
from peftcli.engine.evaluation import score
from peftcli.errors import UserError
from peftcli.models.decoders import DECODERS
from peftcli.tasks import demo
from tests import folders, tiny, trained
from tests.crosses import crossed

FAMILIES = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert", "deberta-v2", "modernbert")
LONGEST = 128  # of a byte-level tokenizer's pieces, more than any text here has
STRATEGIES = ("layernorm", "full", "lora", "random", "childpruning", "initbias_bitfit", "reinit_bitfit")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))


def entry(strategy: str) -> dict[str, Any]:
    return {strategy: tiny.OPTIONS.get(strategy, {})}


def ours(delta: Delta, base: Path, source: Path | None = None) -> np.ndarray:
    """The logits of the run on its validation split."""
    restored = restoring.restore(delta, str(base))
    examples = prepare(delta.run, str(base), source).evaluation["validation"]
    network, kind = restored.network, restored.task.kind
    scored = score(restored.forward(), [examples], kind, network.reading, torch.device("cpu"), network.lookups)
    return scored[0].logits


@torch.no_grad()
def theirs(model: Any, folder: Path, *texts: list[str]) -> np.ndarray:
    """The logits of a stock model, with its own tokenizer and padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if model.config.model_type in DECODERS and len(texts) > 1:
        texts = ([f"{first}\n{second}" for first, second in zip(*texts, strict=True)],)
    inputs = tokenizer(*texts, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
    if not model.config.to_dict().get("type_vocab_size") or "roberta" in model.config.model_type:
        inputs.pop("token_type_ids", None)
    return model.eval()(**inputs).logits.double().numpy()


def pairs() -> tuple[list[str], list[str]]:
    validation = demo.rows("validation")
    return [row["sentence1"] for row in validation], [row["sentence2"] for row in validation]


@pytest.mark.parametrize(
    ("family", "strategy"),
    [*((f, s) for f in FAMILIES for s in ("layernorm", "lora")), *(("bert", s) for s in STRATEGIES[1:]),
     *crossed(list(DECODERS), ["lora", "layernorm"])],
)  # fmt: skip
def test_the_folder_loads_and_gives_the_same_logits(family: str, strategy: str, tmp_path: Path) -> None:
    base = trained.model(tmp_path / "base", family)
    delta = trained.delta(trained.train(tmp_path, base, entry(strategy), training={"max_length": LONGEST})[0])
    export.write(delta, str(base), tmp_path / "out", "transformers")
    model, info = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.config.id2label == dict(enumerate(demo.LABELS))
    found, wanted = theirs(model, tmp_path / "out", *pairs()), ours(delta, base)
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["sentence", "regression", "token"])
def test_sentences_numbers_and_words(kind: str, tmp_path: Path) -> None:
    data = trained.write_rows(tmp_path / "mine")
    described = {"sentence": {"text": "sentence1", "label": "y"},
                 "regression": {"text": ["sentence1", "sentence2"], "label": "score"},
                 "token": {"text": "words", "label": "tags"}}[kind]  # fmt: skip
    task = {"name": "mine", "data": "mine", "kind": kind, **described}
    base = trained.model(tmp_path / "base")
    delta = trained.delta(trained.train(tmp_path, base, entry("bitfit"), task)[0])
    export.write(delta, str(base), tmp_path / "out", "transformers")
    wanted, validation = ours(delta, base, data), trained.rows("validation", 24)
    if kind == "token":
        model: Any = AutoModelForTokenClassification.from_pretrained(tmp_path / "out")
        assert set(model.config.id2label.values()) == {"B-WHO", "O"}
        found = by_word(model, tmp_path / "out", [row["words"] for row in validation])
    else:
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
        assert model.config.problem_type == ("regression" if kind == "regression" else "single_label_classification")
        found = theirs(model, tmp_path / "out", *([row[name] for row in validation] for name in delta.run.data["text"]))
        found = found[:, 0] if kind == "regression" else found
    np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=0)


@torch.no_grad()
def by_word(model: Any, folder: Path, sentences: list[list[str]]) -> np.ndarray:
    """A stock token classifier's logits at each word's first piece, sentence by sentence."""
    tokenizer, found = AutoTokenizer.from_pretrained(folder), []
    for words in sentences:
        inputs = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        first = [inputs.word_ids().index(at) for at in range(len(words))]
        found.append(model(**inputs).logits[0, first].double().numpy())
    return np.concatenate(found)


RELEASED = {"rank": 4, "alpha": 1.0, "b_start": "uniform", "train_head": False}  # as effectiveness was released

DORA = {"rank": 3, "alpha": 7.0, "dora": True, "dropout": 0.1}
RSLORA = {"rank": 3, "alpha": 7.0, "dora": True, "rslora": True, "targets": ["value", "output"]}


@pytest.mark.parametrize(
    ("family", "options"),
    [
        *((family, {"rank": 3, "alpha": 7.0}) for family in ("bert", "roberta", "distilbert", "gpt2")),
        ("bert", RELEASED),
        ("llama", DORA),
        ("gpt2", DORA),
        ("bert", DORA),
        ("distilbert", RSLORA),
    ],
)
def test_lora_in_peft_s_format_gives_the_same_logits(family: str, options: dict[str, Any], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    base = trained.model(tmp_path / "base", family)
    longest = {"training": {"max_length": LONGEST}}
    delta = trained.delta(trained.train(tmp_path, base, {"lora": options}, **longest)[0])
    export.write(delta, str(base), tmp_path / "out", "peft")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (config["use_dora"], config["use_rslora"]) == (options.get("dora", False), options.get("rslora", False))
    padding = (
        {"pad_token_id": AutoTokenizer.from_pretrained(tmp_path / "out").pad_token_id} if family in DECODERS else {}
    )
    stock = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, **padding)
    model = peft.PeftModel.from_pretrained(stock, tmp_path / "out")
    sizes = (tmp_path / "out" / "adapter_model.safetensors").stat().st_size, (base / "model.safetensors").stat().st_size
    assert sizes[0] < sizes[1] / 2
    found = theirs(model, tmp_path / "out", *pairs())
    np.testing.assert_allclose(found, ours(delta, base), atol=1e-5, rtol=0)


LAYERS = {"bert": 2, "gpt2": 3}


@pytest.mark.parametrize(("family", "options"), [("bert", DORA), ("bert", RSLORA), ("gpt2", DORA)])
def test_magnitudes_are_merged_into_the_weights(family: str, options: dict[str, Any], tmp_path: Path) -> None:
    base = trained.model(tmp_path / "base", family)
    delta = trained.delta(trained.train(tmp_path, base, {"lora": options}, training={"max_length": LONGEST})[0])
    moved = [name for name in delta.tensors if name.endswith("lora_magnitude")]
    roles = ("query_key_value",) if family == "gpt2" else delta.run.options["targets"] or ("query", "value")
    assert len(moved) == len(roles) * LAYERS[family]
    export.write(delta, str(base), tmp_path / "out", "transformers")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    np.testing.assert_allclose(theirs(model, tmp_path / "out", *pairs()), ours(delta, base), atol=1e-5, rtol=0)


def test_a_pooler_that_the_base_lacks_comes_from_the_delta(tmp_path: Path) -> None:
    base = trained.model(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    save_file({n: t for n, t in weights.items() if "pooler" not in n}, base / "model.safetensors", {"format": "pt"})
    delta = trained.delta(trained.train(tmp_path, base, entry("lora"))[0])
    assert "pooler.dense.weight" in delta.tensors
    export.write(delta, str(base), tmp_path / "out", "transformers")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    np.testing.assert_allclose(theirs(model, tmp_path / "out", *pairs()), ours(delta, base), atol=1e-5, rtol=0)
    peft = pytest.importorskip("peft")
    export.write(delta, str(base), tmp_path / "peft", "peft")
    stock = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    model = peft.PeftModel.from_pretrained(stock, tmp_path / "peft")
    np.testing.assert_allclose(theirs(model, tmp_path / "peft", *pairs()), ours(delta, base), atol=1e-5, rtol=0)


def test_the_tokenizer_comes_along(tmp_path: Path) -> None:
    base = trained.model(tmp_path / "base")
    delta = trained.delta(trained.train(tmp_path, base, "layernorm")[0])
    export.write(delta, str(base), tmp_path / "out", "transformers")
    own, copied = (AutoTokenizer.from_pretrained(folder)(*pairs()).input_ids for folder in (base, tmp_path / "out"))
    assert own == copied
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("strategy", "settings", "form", "message"),
    [
        ("adapter", {}, "transformers", "strategy adapter inserts adapters, which no stock model has"),
        ({"peft": {"type": "IA3"}}, {}, "transformers", "modules of the peft package"),
        ("layernorm", {"head": "pooled_dense"}, "transformers", "head 'pooled_dense' is not the one of a stock bert"),
        ("layernorm", {}, "peft", "--format peft is for strategy lora, not layernorm"),
    ],
)
def test_what_no_other_program_can_hold_is_refused(
    strategy: Any, settings: dict[str, Any], form: str, message: str, tmp_path: Path
) -> None:
    base = trained.model(tmp_path / "base")
    delta = trained.delta(trained.train(tmp_path, base, strategy, training=settings)[0])
    with pytest.raises(UserError, match=message):
        export.write(delta, str(base), tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


def test_another_base_and_a_folder_in_use_are_refused(tmp_path: Path) -> None:
    base = trained.model(tmp_path / "base")
    delta = trained.delta(trained.train(tmp_path, base, "layernorm")[0])
    other = folders.bert(tmp_path / "other", seed=1)
    with pytest.raises(UserError, match=r"this delta is of another base: base with fingerprint [0-9a-f]{16}"):
        export.write(delta, str(other), tmp_path / "out", "transformers")
    with pytest.raises(UserError, match="not an empty folder"):
        export.write(delta, str(base), base, "transformers")


def test_a_decoder_s_tokenizer_pads_on_the_right_with_what_ends_texts(tmp_path: Path) -> None:
    base = trained.model(tmp_path / "base", "gpt2")
    delta = trained.delta(trained.train(tmp_path, base, "layernorm", training={"max_length": LONGEST})[0])
    export.write(delta, str(base), tmp_path / "out", "transformers")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (tokenizer.pad_token, tokenizer.padding_side) == (tokenizer.eos_token, "right")
    assert config["pad_token_id"] == tokenizer.eos_token_id


def test_where_texts_end_with_the_padding_token_no_stock_classifier_finds_the_last_one(tmp_path: Path) -> None:
    base = trained.model(tmp_path / "base", "llama")
    tokenizer = AutoTokenizer.from_pretrained(base)
    end = TemplateProcessing(single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", tokenizer.eos_token_id)])
    tokenizer.backend_tokenizer.post_processor = end
    with pytest.raises(UserError, match="this tokenizer ends texts with its padding token; use `peftcli predict`"):
        padding.settle(tokenizer, {"model_type": "llama", "vocab_size": len(tokenizer)})
    assert padding.settle(tokenizer, {"model_type": "bert"}) is None


def test_what_is_merged_into_a_base_in_bfloat16_is_not_rounded(tmp_path: Path) -> None:
    base, merged = trained.model(tmp_path / "model"), []
    tensors = load_file(base / "model.safetensors")
    for dtype in (torch.float32, torch.bfloat16):  # the same values in two files
        folder = Path(shutil.copytree(base, tmp_path / str(dtype) / "base"))
        save_file({name: t.bfloat16().to(dtype) for name, t in tensors.items()}, folder / "model.safetensors")
        entry = {"lora": {"rank": 2, "alpha": 4.0, "dora": True}}
        (record,) = trained.train(folder.parent, folder, entry, training={"precision": "bfloat16"})
        export.write(trained.delta(record), str(folder), folder.parent / "out", "transformers")
        merged.append(load_file(folder.parent / "out" / "model.safetensors"))
    assert merged[0].keys() == merged[1].keys()
    assert all(torch.equal(tensor, merged[1][name]) for name, tensor in merged[0].items())
