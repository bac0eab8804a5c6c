"""What a record says of the machine, the packages and the commit that it was made with."""

import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from peftcli.runner import environment


@pytest.fixture(autouse=True)
def described_anew() -> Iterator[None]:
    environment.describe.cache_clear()
    yield
    environment.describe.cache_clear()


def test_a_processor_and_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("torch", "numpy", "no-such-package"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    described = environment.describe(torch.device("cpu"), "bfloat16")
    assert described["packages"] == {"torch": version("torch"), "numpy": version("numpy"), "no-such-package": None}
    assert (described["device"], described["precision"], described["threads"]) == ("cpu", "bfloat16", 3)
    assert described["compiled"] is False
    assert environment.describe(torch.device("cpu"), "bfloat16", True)["compiled"] is True


def test_a_gpu_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda on: f"card {on.index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda on: (9, 0))
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91002)
    driver = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build"
    (tmp_path / "version").write_text(driver)
    monkeypatch.setattr(environment, "DRIVER", tmp_path / "version")
    described = environment.describe(torch.device("cuda", 1), "tf32")
    assert (described["device"], described["precision"]) == ("card 1", "tf32")
    assert (described["capability"], described["driver"], described["cuda"], described["cudnn"]) == (
        "9.0", "570.133.20", "12.8", "91002",
    )  # fmt: skip
    assert "cuda" not in environment.describe(torch.device("cpu"), "float32")


def test_the_commit_is_the_source_tree_s_and_marked_where_it_has_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(environment, "__file__", str(tmp_path / "peftcli" / "runner" / "environment.py"))
    on, precision = torch.device("cpu"), "float32"
    assert environment.describe(on, precision)["commit"] is None  # installed, not a source tree
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    git("tag", "v1")  # a tag is not taken
    environment.describe.cache_clear()
    assert environment.describe(on, precision)["commit"] == git("rev-parse", "HEAD")[:12]
    (tmp_path / "file").write_text("two")
    environment.describe.cache_clear()
    assert environment.describe(on, precision)["commit"] == f"{git('rev-parse', 'HEAD')[:12]}-dirty"
