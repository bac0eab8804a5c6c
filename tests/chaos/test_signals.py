"""A signal at any moment, imports and data loading included: exit code 75 within five seconds, and the rerun finishes."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from peftcli.stopping import SIGNALS
from tests import folders
from tests.chaos import disturbed

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(3600)]


def command(recipe: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", "peftcli", "sweep", str(recipe), "--output", str(output), "--cohort", "4"]


@pytest.fixture(scope="module")
def recipe(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.recipe(tmp_path_factory.mktemp("recipes") / "small.yaml", tiny_folder)


@pytest.fixture(scope="module")
def undisturbed(
    recipe: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """The results of a sweep that is left alone, and how many seconds it takes, imports included."""
    output = tmp_path_factory.mktemp("undisturbed")
    started = time.monotonic()
    subprocess.run(command(recipe, output), env=environment, check=True, capture_output=True)
    return output, time.monotonic() - started


def signalled(
    arguments: Sequence[str], environment: dict[str, str], after: float, numbers: Sequence[int]
) -> tuple[int, float, str]:
    """Send signals, one right after the other; gives return code, seconds from the first to the end, and stderr."""
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(after)
    sent = time.monotonic()
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.2 if len(numbers) > 1 else 0)
    errors = process.communicate()[1]
    return process.returncode, time.monotonic() - sent, errors


def first_moment(environment: dict[str, str]) -> float:
    """How many seconds Python takes until the program's first line is behind it: before that nobody can handle signals."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "from peftcli import stopping"], env=environment, check=True)
    return 2 * (time.monotonic() - started)


def test_signals_at_random_moments(
    recipe: Path, undisturbed: tuple[Path, float], environment: dict[str, str], tmp_path: Path
) -> None:
    generator = random.Random(0)
    expected, seconds = disturbed.contents(undisturbed[0]), undisturbed[1]
    earliest, landed, finished, slowest, under_way, tries = first_moment(environment), 0, 0, 0.0, False, 0
    while landed < disturbed.count(30) or under_way:
        # Each numbered try falls in its own part of the time a sweep takes, from the first import to the last record.
        part = (tries % 10 + generator.random()) / 10
        tries += 1
        output = tmp_path / f"out{finished}"
        number = SIGNALS[tries % len(SIGNALS)]
        cache = {**environment, "PEFTCLI_CACHE_DIR": str(tmp_path / f"cache{tries}")}  # so data is prepared anew
        if landed < disturbed.count(30):
            code, took, errors = signalled(command(recipe, output), cache, earliest + part * seconds, [number])
        else:
            done = subprocess.run(command(recipe, output), env=cache, capture_output=True, text=True)
            code, took, errors = done.returncode, 0.0, done.stderr
        assert "Traceback" not in errors, errors
        assert code in (0, 75), errors
        assert disturbed.contents(output).items() <= expected.items()
        under_way = code == 75
        if under_way:
            landed, slowest = landed + 1, max(slowest, took)
            assert took < 5
        else:
            assert disturbed.contents(output) == expected
            finished += 1
    print(f"{landed} signals, exit code 75 after {slowest:.2f} s at most; {finished} sweeps finished")


def test_a_second_signal_ends_at_once(
    recipe: Path, undisturbed: tuple[Path, float], environment: dict[str, str], tmp_path: Path
) -> None:
    generator, seconds = random.Random(1), undisturbed[1]
    for number in range(disturbed.count(5)):
        after = first_moment(environment) + generator.uniform(0, 0.7) * seconds
        code, took, _ = signalled(
            command(recipe, tmp_path / f"out{number}"), environment, after, [signal.SIGTERM, signal.SIGINT]
        )
        assert code == 75
        assert took < 2


def test_a_signal_during_a_long_step_saves_what_the_last_one_left(tmp_path: Path, environment: dict[str, str]) -> None:
    """One update of this model takes far longer than five seconds on one thread."""
    sizes = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 6, "num_attention_heads": 8}
    model = folders.bert(tmp_path / "large", **sizes)
    training = {"steps": 30, "batch_size": 512, "max_length": 32, "precision": "float64"}
    made = {"strategies": ["layernorm"], "learning_rates": [1e-5], "seeds": [0], "training": training}
    arguments = command(folders.recipe(tmp_path / "slow.yaml", model, **made), tmp_path / "out")
    for after in (15, 30, 60, 120):  # how long it takes to the first update depends on the machine
        code, took, _ = signalled(arguments, environment, after, [signal.SIGTERM])
        assert code == 75
        assert took < 5
        if saved := list((tmp_path / "out").glob(".checkpoints/*")):
            break
    assert [os.path.getsize(file) > 10_000 for file in saved] == [True]
