"""Kept fingerprints: found again while no file has changed, and only then."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from peftcli.models import fingerprints

VALUE = "0123456789abcdef"


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that a fingerprint is of, and a cache of its own."""
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "weights").write_bytes(b"1234")
    return tmp_path / "weights"


def test_it_is_found_again_while_nothing_changes(source: Path) -> None:
    key = fingerprints.key("model", [source])
    assert fingerprints.recall(key) is None
    fingerprints.remember(key, VALUE)
    assert fingerprints.recall(fingerprints.key("model", [source])) == VALUE
    assert fingerprints.recall(fingerprints.key("tokenizer", [source])) is None


def test_it_is_kept_where_this_package_is_not_installed(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where it runs from a folder of sources: what has no version counts as one version."""
    monkeypatch.setattr(fingerprints, "LIBRARIES", ("no-such-package", "transformers"))
    key = fingerprints.key("model", [source])
    fingerprints.remember(key, VALUE)
    assert fingerprints.recall(key) == VALUE
    monkeypatch.setattr(fingerprints, "LIBRARIES", ("pytest", "transformers"))
    assert fingerprints.key("model", [source]) != key


def _rewritten(file: Path) -> None:
    file.write_bytes(b"123")


def _touched(file: Path) -> None:
    os.utime(file, ns=(0, 0))


def _replaced(file: Path) -> None:
    """By a file of the same size, with the same time."""
    was = file.stat()
    other = file.with_name("other")
    other.write_bytes(b"4321")
    os.utime(other, ns=(was.st_atime_ns, was.st_mtime_ns))
    other.rename(file)


def _renamed(file: Path) -> None:
    file.rename(file.with_name("moved"))


@pytest.mark.parametrize("change", [_rewritten, _touched, _replaced, _renamed])
def test_any_change_of_a_file_loses_it(change: Callable[[Path], None], source: Path) -> None:
    fingerprints.remember(fingerprints.key("model", [source]), VALUE)
    change(source)
    assert fingerprints.recall(fingerprints.key("model", [source])) is None


def test_a_model_is_all_files_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    before = fingerprints.key_of_model("model", str(folder))
    (folder / "vocab.txt").write_text("the")
    assert fingerprints.key_of_model("model", str(folder)) not in (before, None)
    assert fingerprints.key_of_model("model", str(tmp_path / "nowhere")) is None
    assert fingerprints.key_of_model("model", "someone/never-fetched") is None


@pytest.mark.parametrize("content", ["", "no fingerprint", VALUE + "0", "\x80"])
def test_a_damaged_entry_is_none(content: str, source: Path, tmp_path: Path) -> None:
    key = fingerprints.key("model", [source])
    fingerprints.remember(key, VALUE)
    (file,) = (tmp_path / "cache" / "fingerprints").iterdir()
    file.write_bytes(content.encode("latin-1"))
    assert fingerprints.recall(key) is None


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "file"))
    key = fingerprints.key("model", [source])
    fingerprints.remember(key, VALUE)
    assert fingerprints.recall(key) is None
