"""The cache of tokenised data: what is read back is what was written, or it is replaced."""

import stat
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from peftcli.data import tokencache
from peftcli.data.examples import Examples
from peftcli.data.tokens import Encoded
from peftcli.errors import UserError

IDS, TYPES = np.array([5, 70_000, 7, 8, 9, 3]), np.array([0, 1, 0, 1, 1, 0])
STARTS, NUMBERS = np.array([0, 2, 6]), np.array([4, 11])
PLAIN = Examples(IDS, TYPES, STARTS, np.array([0.5, 2.0]), NUMBERS)
WORDS = Examples(
    IDS,
    TYPES,
    STARTS,
    np.array([1, 2, 3]),
    NUMBERS,
    words=np.array([1, 1, 300]),
    word_starts=np.array([0, 1, 3]),
    word_numbers=np.array([0, 2, 70]),
)
SPANS = Examples(IDS, TYPES, STARTS, np.array([0, 1]), NUMBERS, spans=np.arange(8).reshape(2, 2, 2))
CHOICE = Examples(IDS, TYPES, STARTS, np.array([1]), NUMBERS[:1], group=2)
SPLITS = {"train": Encoded(PLAIN, 3, 0, 0), "validation": Encoded(WORDS, 0, 17, 4), "a": Encoded(SPANS, 0, 0, 0)}


def same(first: Examples, second: Examples) -> bool:
    for field in fields(Examples):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, np.ndarray) and not (one.dtype == other.dtype and np.array_equal(one, other)):
            return False
        if not isinstance(one, np.ndarray) and one != other:
            return False
    return True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tokencache.save(tmp_path / "tokens" / "x.safetensors", {**SPLITS, "b": Encoded(CHOICE, 0, 0, 0)})
    return tmp_path / "tokens" / "x.safetensors"


def test_what_was_written_is_read(file: Path) -> None:
    read = tokencache.load(file)
    assert read is not None
    for split, written in {**SPLITS, "b": Encoded(CHOICE, 0, 0, 0)}.items():
        assert same(read[split].examples, written.examples)
        assert replace(read[split], examples=PLAIN) == replace(written, examples=PLAIN)
    assert tokencache.load(file.with_name("none.safetensors")) is None


def test_every_flipped_byte_is_seen(file: Path) -> None:
    content = file.read_bytes()
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        file.write_bytes(damaged)
        read = tokencache.load(file)
        assert read is None or all(same(read[split].examples, SPLITS[split].examples) for split in SPLITS), position


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 40, b"not safetensors"])
def test_a_damaged_file_is_none(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert tokencache.load(file) is None
    file.write_bytes(b"")


def test_a_file_cut_short_is_none(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])
    assert tokencache.load(file) is None


def test_the_path_follows_everything_the_content_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path))
    parts = {"tokenizer": "a", "data": "b", "max_length": 128, "overlong": "truncate"}
    first = tokencache.path("rte", parts)
    assert first.parent == tmp_path / "tokens"
    assert first == tokencache.path("rte", dict(reversed(parts.items())))
    assert len({first, *(tokencache.path("rte", parts | {key: "other"}) for key in parts)}) == 5
    monkeypatch.setattr(tokencache, "FORMAT", tokencache.FORMAT + 1)
    assert tokencache.path("rte", parts) != first


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a file in the way")
    with pytest.raises(UserError, match=r"cannot write .*PEFTCLI_CACHE_DIR names another folder"):
        tokencache.save(tmp_path / "tokens" / "x.safetensors", SPLITS)


def test_nothing_else_lies_beside_the_file(file: Path) -> None:
    assert [path.name for path in file.parent.iterdir()] == ["x.safetensors"]
    assert stat.S_ISREG(file.stat().st_mode)
