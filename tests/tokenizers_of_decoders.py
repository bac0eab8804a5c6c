"""Small tokenizers of decoders in folders, built as their families build theirs: what is added in front, how a space is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "the cat sat, said John", "hello world (big) world", "What was the CAUSE of this?", "This is the result.",
    "John's cats sat where the dog sat.", "What happened as a RESULT?", "a result, an effect",
] * 20  # fmt: skip
# How Llama 3 and Qwen part a text: a line end joins the signs before it, unlike in GPT-2.
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
END, BEGIN = "<|endoftext|>", "<|begin_of_text|>"


def write(folder: Path, name: str, **config: Any) -> Path:
    """Write the tokenizer of a family (a name of `BUILDERS`) and a config.json, whose further keys are `config`."""
    pipeline, about, model_type = BUILDERS[name]()
    folder.mkdir(parents=True, exist_ok=True)
    pipeline.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    sizes = {"vocab_size": pipeline.get_vocab_size(), "bos_token_id": None, "eos_token_id": None}
    (folder / "config.json").write_text(json.dumps({"model_type": model_type, **sizes, **config}))
    return folder


Built = tuple[Tokenizer, dict[str, Any], str]  # the pipeline, tokenizer_config.json, the model's type


def _byte_level(splits: Any, special: list[str]) -> Tokenizer:
    pipeline = Tokenizer(models.BPE())
    pipeline.pre_tokenizer = splits
    pipeline.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=360, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    pipeline.train_from_iterator(TEXTS, trainer)
    return pipeline


def _gpt2() -> Built:
    pipeline = _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), [END])
    pipeline.post_processor = processors.ByteLevel(trim_offsets=True)
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END)
    return pipeline, {"tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024, **names}, "gpt2"


def _gpt_neox() -> Built:
    pipeline, about, _ = _gpt2()
    pipeline.normalizer = normalizers.NFC()
    return pipeline, {**about, "tokenizer_class": "GPTNeoXTokenizer"}, "gpt_neox"


def _parted(special: list[str]) -> Tokenizer:
    split = pre_tokenizers.Split(Regex(WORDS), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return _byte_level(pre_tokenizers.Sequence([split, byte_level]), special)


def _llama3() -> Built:
    pipeline = _parted([BEGIN, END])
    begin = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A {BEGIN}:1 $B:1", special_tokens=[(BEGIN, 0)]
    )
    pipeline.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), begin])
    about = {"bos_token": BEGIN, "eos_token": END, "model_input_names": ["input_ids", "attention_mask"]}
    return pipeline, {"tokenizer_class": "PreTrainedTokenizerFast", **about}, "llama"


def _qwen(model_type: str) -> Callable[[], Built]:
    def build() -> Built:
        pipeline = _parted([END])
        pipeline.normalizer = normalizers.NFC()
        pipeline.post_processor = processors.ByteLevel(trim_offsets=False)
        about = {"eos_token": END, "pad_token": END, "unk_token": None, "add_prefix_space": False}
        return pipeline, {"tokenizer_class": "Qwen2Tokenizer", **about}, model_type

    return build


def _pieces(special: list[str], normalizer: Any, splits: Any, begin: str) -> Tokenizer:
    """Build a tokenizer whose pieces begin with ▁ where a space stood, and that falls back to bytes."""
    pipeline = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    # No piece is of two words, or of a word and a sign.
    splits_in_training = [pre_tokenizers.Metaspace(prepend_scheme="never"), pre_tokenizers.Punctuation()]
    pipeline.pre_tokenizer = pre_tokenizers.Sequence(splits_in_training)
    texts = [text.replace("\n", " ") for text in TEXTS]
    trainer = trainers.BpeTrainer(
        vocab_size=440, special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))], show_progress=False
    )
    pipeline.train_from_iterator(texts, trainer)
    # The trainer knows only special pieces that texts are not trained for, and bytes are ordinary ones.
    content = json.loads(pipeline.to_str())
    content["added_tokens"] = [piece for piece in content["added_tokens"] if not piece["content"].startswith("<0x")]
    pipeline = Tokenizer.from_str(json.dumps(content))
    pipeline.normalizer, pipeline.pre_tokenizer = normalizer, splits
    pipeline.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    pipeline.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", pair=f"{begin} $A {begin}:1 $B:1", special_tokens=[(begin, special.index(begin))]
    )
    return pipeline


def _llama2(tokenizer_class: str, model_type: str) -> Callable[[], Built]:
    def build() -> Built:
        marked = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        pipeline = _pieces(["<unk>", "<s>", "</s>"], marked, None, "<s>")
        names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "legacy": False}
        return pipeline, {"tokenizer_class": tokenizer_class, **names, "add_bos_token": True}, model_type

    return build


def _gemma() -> Built:
    split = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    pipeline = _pieces(special, normalizers.Replace(" ", "▁"), split, "<bos>")
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return pipeline, {"tokenizer_class": "GemmaTokenizer", **names, "add_bos_token": True}, "gemma3_text"


BUILDERS: dict[str, Callable[[], Built]] = {
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
    "llama 2": _llama2("LlamaTokenizer", "llama"),
    "llama 3": _llama3,
    "mistral": _llama2("LlamaTokenizer", "mistral"),
    "qwen2": _qwen("qwen2"),
    "qwen3": _qwen("qwen3"),
    "gemma": _gemma,
}
BEGINS = {"llama 2": 1, "llama 3": 1, "mistral": 1, "gemma": 1}  # how many special pieces are added; elsewhere none
