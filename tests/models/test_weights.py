"""Weights that are not there, cut short, or something else are refused with the file's name; nothing in a file is run."""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from peftcli.errors import UserError
from peftcli.models import weights
from peftcli.models.weights import Header
from tests import folders

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 437955512\n"
NAME = "model.safetensors"


class Marker:
    """What would run code where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return pytest.fail, ("something was unpickled",)


def headers(tensors: dict[str, torch.Tensor]) -> dict[str, Header]:
    """What a file of these tensors says of them."""
    return {name: Header(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for name, t in tensors.items()}


def written(folder: Path, content: bytes, name: str = NAME) -> Path:
    """The folder of a small BERT with these bytes for its weights."""
    folders.bert(folder)
    (folder / NAME).unlink()
    (folder / name).write_bytes(content)
    return folder


def saved(folder: Path, legacy: bool = False) -> bytes:
    """A small BERT's weights as torch writes them."""
    stream = io.BytesIO()
    torch.save(load_file(folders.bert(folder) / NAME), stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


def test_shapes_are_read_of_either_format(tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "safe")
    wanted = headers(load_file(folder / NAME))
    assert {header.type for header in wanted.values()} == {"float32"}
    assert weights.stored(folder) == (folder / NAME, wanted)
    for legacy in (False, True):
        torch_file = written(tmp_path / f"torch-{legacy}", saved(tmp_path / "other", legacy), "pytorch_model.bin")
        assert weights.stored(torch_file)[1] == wanted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda whole: b"", "is empty"),
        (lambda whole: POINTER, "is a git-LFS pointer"),
        (lambda whole: whole[:-100], r"is cut short: it has [0-9,]+ bytes, and its header says [0-9,]+"),
        (lambda whole: whole[:100], "is cut short: it has 100 bytes, and its header alone"),
        (lambda whole: whole[:5], "is not a safetensors file, or it is damaged"),
        (lambda whole: whole + b"x", "is damaged: it has"),
        (lambda whole: b"<html>no such page</html>", "is not a safetensors file, or it is damaged"),
        (lambda whole: whole[:8] + b"!" + whole[9:], "is not a safetensors file, or it is damaged"),
    ],
)
def test_a_damaged_safetensors_file(change: Callable[[bytes], bytes], said: str, tmp_path: Path) -> None:
    whole = (folders.bert(tmp_path / "model") / NAME).read_bytes()
    with pytest.raises(UserError, match=rf"model/model\.safetensors {said}"):
        weights.stored(written(tmp_path / "model", change(whole)))


@pytest.mark.parametrize(
    "content", [b"", POINTER, b"text", pickle.dumps(Marker()), pickle.dumps([1]), b"PK\x03\x04cut"]
)
def test_a_torch_file_that_is_none(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model/pytorch_model\.bin is ") as refused:
        weights.stored(written(tmp_path / "model", content, "pytorch_model.bin"))
    assert "weights_only" not in str(refused.value)  # torch advises to switch its check off


@pytest.mark.parametrize("legacy", [False, True])
def test_a_torch_file_that_is_cut_short(legacy: bool, tmp_path: Path) -> None:
    content = saved(tmp_path / "other", legacy)
    with pytest.raises(UserError, match="is not a file of tensors that torch wrote, or it is damaged"):
        weights.stored(written(tmp_path / "model", content[: len(content) // 2], "pytorch_model.bin"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not an index of weights"),
        ("[]", "is not an index of weights"),
        (POINTER.decode(), "is a git-LFS pointer"),
        (json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}), "names one.safetensors, which"),
    ],
)
def test_an_index_of_shards(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"model/model\.safetensors\.index\.json {said}"):
        weights.stored(written(tmp_path / "model", text.encode(), NAME + ".index.json"))


def test_shards_are_read_together_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    tensors = load_file(folder / NAME)
    (folder / NAME).unlink()
    names = list(tensors)
    halves = {"one.safetensors": names[:5], "two.safetensors": names[5:]}
    for file, part in halves.items():
        save_file({name: tensors[name] for name in part}, folder / file)
    where = {name: file for file, part in halves.items() for name in part}
    (folder / f"{NAME}.index.json").write_text(json.dumps({"weight_map": where}))
    assert weights.stored(folder)[1] == headers(tensors)
    (folder / "two.safetensors").write_bytes(POINTER)
    with pytest.raises(UserError, match=r"model/two\.safetensors is a git-LFS pointer"):
        weights.stored(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "tokenizer_config.json"])
def test_a_pointer_in_the_place_of_any_file_that_is_read(name: str, tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    (folder / name).write_bytes(POINTER)
    with pytest.raises(UserError, match=rf"model/{name} is a git-LFS pointer"):
        weights.stored(folder)


def test_quantised_weights_are_refused_and_integer_buffers_taken(tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    tensors = load_file(folder / NAME)
    # The numbers of the positions, and which of them each one sees, as GPT-2 and Pythia were published with them.
    seen = torch.ones(1, 1, 40, 40, dtype=torch.bool).tril()
    tensors |= {
        "embeddings.position_ids": torch.arange(40)[None],
        "h.0.attn.bias": seen.to(torch.uint8),
        "gpt_neox.layers.0.attention.bias": seen,
    }
    save_file(tensors, folder / NAME)
    weights.stored(folder)
    tensors["pooler.dense.weight"] = torch.zeros(16, 16, dtype=torch.int8)
    save_file(tensors, folder / NAME)
    with pytest.raises(UserError, match=r"holds pooler\.dense\.weight as I8"):
        weights.stored(folder)
    (folder / NAME).unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"holds pooler\.dense\.weight as int8"):
        weights.stored(folder)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_types_are_read_of_either_format(dtype: torch.dtype, tmp_path: Path) -> None:
    folder = folders.bert(tmp_path / "model")
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(folder / NAME).items()}
    save_file(tensors, folder / NAME)
    assert weights.stored(folder)[1] == headers(tensors)
    (folder / NAME).unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    assert weights.stored(folder)[1] == headers(tensors)
