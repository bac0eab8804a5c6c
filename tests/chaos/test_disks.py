"""A full, read-only or vanished disk: one line, nothing torn, and success once there is room again."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from peftcli.cli import sweep as command
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


@dataclass(frozen=True)
class Ended:
    """How a sweep ended, and what it said."""

    code: int
    stderr: str

    @property
    def last_line(self) -> str:
        return self.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def recipe(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.recipe(tmp_path_factory.mktemp("recipes") / "small.yaml", tiny_folder)


@pytest.fixture(scope="module", autouse=True)
def expected(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a sweep leaves on a disk with room. It is made in this process, so that the others' forks need not import."""
    output = tmp_path_factory.mktemp("undisturbed")
    assert command.sweep(str(recipe), output, cohort=4) == 0
    return disturbed.contents(output)


def sweep(recipe: Path, output: Path, *more: str) -> Ended:
    stderr = output.parents[1] / "stderr"  # beside the disk
    stderr.unlink(missing_ok=True)
    process = disturbed.forked(["sweep", str(recipe), "--output", str(output), *more], 600.0, stderr)
    process.join()
    assert process.exitcode is not None
    return Ended(process.exitcode, stderr.read_text())


def fill(disk: Path, left: int) -> None:
    """Fill a disk but for so many kilobytes."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"\0" * (free - left * 1024))


@pytest.mark.parametrize("left", [0, 24, 100])
def test_a_full_disk(recipe: Path, disk: Path, left: int, expected: dict[str, bytes]) -> None:
    fill(disk, left)
    ended = sweep(recipe, disk / "out", "--cohort", "4")
    assert ended.code == 2
    assert ended.last_line.startswith("peftcli: cannot ")
    assert ended.last_line.endswith("No space left on device")
    assert "Traceback" not in ended.stderr
    kept = disturbed.contents(disk / "out")
    assert kept.items() <= expected.items()
    assert not list(disk.rglob("*.tmp"))
    (disk / "filler").unlink()
    assert sweep(recipe, disk / "out", "--cohort", "4").code == 0
    assert disturbed.contents(disk / "out") == expected


def test_a_read_only_disk(recipe: Path, disk: Path) -> None:
    assert mount("-o", "remount,ro", str(disk))
    for more in ((), ("--cohort", "4")):
        ended = sweep(recipe, disk / "out", *more)
        assert ended.code == 2
        assert len([line for line in ended.stderr.splitlines() if line.startswith("peftcli: ")]) == 1
        assert "Read-only file system" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert mount("-o", "remount,rw", str(disk))
    assert sweep(recipe, disk / "out").code == 0


def test_a_disk_that_became_read_only(recipe: Path, disk: Path) -> None:
    (disk / "out").mkdir()
    assert mount("-o", "remount,ro", str(disk))
    ended = sweep(recipe, disk / "out", "--cohort", "4")
    assert ended.code == 2
    assert ended.last_line == f"peftcli: folder {disk / 'out'} cannot be written to"
