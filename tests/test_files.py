"""A file is the old one or the new one whatever happens while it is written."""

import errno
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from peftcli import files
from peftcli.errors import UserError
from tests import faults


def test_bytes_and_text_are_written_whole_and_parents_are_made(tmp_path: Path) -> None:
    files.write(tmp_path / "a" / "b" / "c.txt", "grün\n")
    files.write(tmp_path / "a" / "d.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "grün\n".encode()
    assert (tmp_path / "a" / "d.bin").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "c.txt", "d.bin"]


def test_data_is_synced_before_the_rename_and_the_folder_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strike = faults.install(monkeypatch, None)
    files.write(tmp_path / "file", b"new")
    assert tuple(strike.seen) == faults.STEPS


@pytest.mark.parametrize("step", range(len(faults.STEPS)), ids=faults.STEPS)
def test_a_kill_leaves_the_old_or_the_new(tmp_path: Path, step: int) -> None:
    file = tmp_path / "file"
    files.write(file, b"old content")
    assert faults.killed(step, lambda: files.write(file, b"new content"))
    renamed = step > faults.STEPS.index("rename")
    assert file.read_bytes() == (b"new content" if renamed else b"old content")
    files.write(file, b"newest")
    assert file.read_bytes() == b"newest"


@pytest.mark.parametrize("step", range(len(faults.STEPS)), ids=faults.STEPS)
def test_a_full_disk_leaves_the_old_or_the_new_and_no_rest(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    files.write(file, b"old content")
    with monkeypatch.context() as patch:
        faults.install(patch, step, faults.full)
        with pytest.raises(UserError, match=f"^cannot write {file}: No space left on device$"):
            files.write(file, b"new content")
    assert file.read_bytes() == (b"new content" if step > faults.STEPS.index("rename") else b"old content")
    assert os.listdir(tmp_path) == ["file"]


def test_an_interruption_leaves_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    faults.install(monkeypatch, faults.STEPS.index("write"), interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


def test_a_file_system_that_cannot_sync_folders_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    faults.install(monkeypatch, faults.STEPS.index("sync folder"), refuse)
    files.write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_place_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"cannot write .*/file/inner: (Not a directory|File exists)"):
        files.write(tmp_path / "file" / "inner", "y")
    with pytest.raises(UserError, match="cannot make folder"):
        files.ready(tmp_path / "file" / "inner")
    assert (tmp_path / "file").read_text() == "x"


def test_text_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes("grün".encode("latin-1"))
    with pytest.raises(UserError, match=r"recipe .*latin is not UTF-8 text"):
        files.read_text(tmp_path / "latin", "recipe")
    with pytest.raises(UserError, match=r"cannot read recipe .*none: No such file"):
        files.read_text(tmp_path / "none", "recipe")


def test_the_checksum_is_that_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 10_000)
    found = subprocess.run(["sha256sum", tmp_path / "file"], capture_output=True, text=True, check=True).stdout
    assert files.sha256(tmp_path / "file") == found.split()[0]


def test_bytes_behind_a_checksum_are_had_back_or_refused() -> None:
    sealed = files.with_checksum(b"abc")
    assert sealed.hex().startswith("ba7816bf8f01cfea")
    assert files.without_checksum(sealed) == b"abc"
    assert files.without_checksum(sealed[:-1] + b"d") is None
    assert files.without_checksum(b"") is None


@pytest.mark.parametrize(
    ("library", "tensors", "checksum"),
    [
        (
            "torch",
            {"b": torch.tensor([[1.5, -2.0]]).bfloat16(), "a": torch.tensor([3], dtype=torch.int32)},
            "04284cf6a8396a2c260f4eacead083c0084dcc3951f7f80e117065311e912312",
        ),
        (
            "numpy",
            {"b": np.array([[1.5, -2.0]]), "a": np.array([3], np.int32)},
            "f44fec873f874fc5d85373a40f33b19ae6c872e97497d4f7450648594152facf",
        ),
    ],
)
def test_what_was_sealed_says_whether_it_is_intact(library, tensors, checksum, tmp_path: Path) -> None:
    """The checksums are those of files that are about already: a change of how they are made is seen here."""
    (tmp_path / "x").write_bytes(files.seal(tensors, {"of": "demo"}, "text", library))
    sealed = files.unseal(tmp_path / "x", library)
    assert sealed.metadata == {"of": "demo"}
    assert sealed.checksum == checksum
    assert sealed.intact("text")
    assert not sealed.intact("texts")
    sealed.tensors["a"][0] += 1
    assert not sealed.intact("text")


def test_what_stands_in_a_folder_s_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    dangling = re.escape(f"{tmp_path / 'link'} is a link to {tmp_path / 'nowhere'}, which does not exist")
    for folder in ("link", "link/inner"):
        with pytest.raises(UserError, match=dangling):
            files.ready(tmp_path / folder)
        with pytest.raises(UserError, match=dangling):
            files.write(tmp_path / folder / "file", "y")
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'file'} is a file")):
        files.ready(tmp_path / "file")
    # A link to a file that is not there yet is a file to be written: the link is replaced, what it named is not made.
    files.write(tmp_path / "link", "y")
    assert (tmp_path / "link").read_text() == "y"
    assert not (tmp_path / "nowhere").exists()
