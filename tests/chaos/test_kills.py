"""A sweep that is killed again and again ends with the records and the table of one that is left alone."""

import random
import signal
from pathlib import Path

import pytest

from peftcli.cli import sweep
from tests import folders
from tests.chaos import disturbed

pytestmark = pytest.mark.chaos
CHECKPOINTS = (600.0, 0.05)  # seconds between checkpoints: none in a run so short, and several in each


@pytest.fixture(scope="module")
def recipe(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    strategies = ["layernorm", {"lora": {"rank": 2}}, {"diffpruning": {"share": 0.05}}]
    return folders.recipe(tmp_path_factory.mktemp("recipes") / "small.yaml", tiny_folder, strategies=strategies)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("size", [1, 4])
def test_kills_at_random_moments(recipe: Path, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    generator = random.Random(size)

    def command(name: str) -> list[str]:
        return ["sweep", str(recipe), "--output", str(tmp_path / name), "--cohort", str(size)]

    assert sweep.sweep(str(recipe), tmp_path / "here", cohort=size) == 0  # with imports done, forks are fast
    seconds = disturbed.timed(command("undisturbed"))
    expected = disturbed.contents(tmp_path / "undisturbed")
    assert len(expected) == 24  # twelve records, and as many predictions
    landed, finished, under_way, wanted = 0, 0, False, disturbed.count(100)
    while landed < wanted or under_way:
        output = tmp_path / f"disturbed{finished}"
        before = disturbed.written(output)
        process = disturbed.forked(command(output.name), CHECKPOINTS[finished % 2])
        after = generator.uniform(0, 1.1 * seconds) if landed < wanted else None
        code = disturbed.killed(process, after)
        assert code in (0, -signal.SIGKILL)
        assert before.items() <= disturbed.written(output).items(), "a finished run was lost or trained again"
        assert disturbed.contents(output).items() <= expected.items()
        landed, under_way = landed + (code != 0), code != 0
        if code == 0:
            assert disturbed.contents(output) == expected
            assert disturbed.table(recipe, output) == disturbed.table(recipe, tmp_path / "undisturbed")
            assert not list((output / ".checkpoints").glob("*.safetensors"))
            finished += 1
    print(f"{landed} kills landed with --cohort {size} in {finished} sweeps of {seconds:.1f} s")
