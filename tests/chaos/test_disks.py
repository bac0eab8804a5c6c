"""A full, read-only or vanished disk: one line, nothing torn, and success once there is room again."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import folders
from tests.chaos import disturbed

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def mount(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or not mount("-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)):
        pytest.skip("mounting a disk of 1 MB is not possible here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="module")
def recipe(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.recipe(tmp_path_factory.mktemp("recipes") / "small.yaml", tiny_folder)


@pytest.fixture(scope="module")
def expected(recipe: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a sweep leaves on a disk with room."""
    output = tmp_path_factory.mktemp("undisturbed")
    assert sweep(recipe, output, environment, "--cohort", "4").returncode == 0
    return disturbed.contents(output)


def sweep(recipe: Path, output: Path, environment: dict[str, str], *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "peftcli", "sweep", str(recipe), "--output", str(output), *more]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def fill(disk: Path, left: int) -> None:
    """Fill a disk but for so many kilobytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"\0" * (free - left * 1024))


@pytest.mark.parametrize("left", [0, 24, 100])
def test_a_full_disk(
    recipe: Path, disk: Path, left: int, environment: dict[str, str], expected: dict[str, bytes]
) -> None:
    fill(disk, left)
    ended = sweep(recipe, disk / "out", environment, "--cohort", "4")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("peftcli: cannot ")
    assert ended.stderr.splitlines()[-1].endswith("No space left on device")
    assert "Traceback" not in ended.stderr
    kept = disturbed.contents(disk / "out")
    assert kept.items() <= expected.items()
    assert not list(disk.rglob("*.tmp"))
    (disk / "filler").unlink()
    assert sweep(recipe, disk / "out", environment, "--cohort", "4").returncode == 0
    assert disturbed.contents(disk / "out") == expected


def test_a_read_only_disk(recipe: Path, disk: Path, environment: dict[str, str]) -> None:
    assert mount("-o", "remount,ro", str(disk))
    for more in ((), ("--cohort", "4")):
        ended = sweep(recipe, disk / "out", environment, *more)
        assert ended.returncode == 2
        assert len([line for line in ended.stderr.splitlines() if line.startswith("peftcli: ")]) == 1
        assert "Read-only file system" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert mount("-o", "remount,rw", str(disk))
    assert sweep(recipe, disk / "out", environment).returncode == 0


def test_a_disk_that_became_read_only(recipe: Path, disk: Path, environment: dict[str, str]) -> None:
    (disk / "out").mkdir()
    assert mount("-o", "remount,ro", str(disk))
    ended = sweep(recipe, disk / "out", environment, "--cohort", "4")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == f"peftcli: folder {disk / 'out'} cannot be written to"
