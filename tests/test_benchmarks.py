"""`make bench`: which comparisons a call runs, and what it leaves in results/bench."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from peftcli.errors import UserError
from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import cases, sweeping
from tests.benchmarks.timing import Ratio


def two(rounds: int) -> Iterator[cases.Case]:
    """Two comparisons that take no time; each says in how many rounds."""
    for name in ("a step, against another", "a record"):
        yield name, lambda name=name: Ratio(name, rounds, (1.0, 9.0), 0.1, 0.2, None, None)  # type: ignore[misc]


def ratios(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """The names of the comparisons that were run, on a processor, in a folder."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments, "--device", "cpu", "--json", "all.json"])
    monkeypatch.setattr(benchmarks, "on_processor", two)
    monkeypatch.setattr("torch.set_num_threads", lambda count: None)  # stays, and would slow the tests after
    monkeypatch.chdir(folder)
    benchmarks.main()
    return [ratio["name"] for ratio in json.loads((folder / "all.json").read_text())["ratios"]]


def test_all_are_run_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ratios(tmp_path, monkeypatch) == ["a step, against another", "a record"]
    (kept,) = (tmp_path / "results" / "bench").iterdir()
    assert kept.read_bytes() == (tmp_path / "all.json").read_bytes()


def test_a_part_is_run_and_not_kept_as_if_it_were_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ratios(tmp_path, monkeypatch, "record") == ["a record"]
    assert not (tmp_path / "results").exists()
    assert ratios(tmp_path, monkeypatch, "record", "step") == ["a step, against another", "a record"]


def test_a_word_in_no_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        ratios(tmp_path, monkeypatch, "record", "stop")
    assert stopped.value.code == 2
    assert "no comparison is called 'stop'; there are: a step, against another; a record\n" in capsys.readouterr().err


@pytest.mark.parametrize("device", [cases.on_processor, cases.on_gpu])
def test_naming_the_comparisons_measures_none(device, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_against_trainer", "_against_ours", "_state_share", "_absolute", "_sweep_of_one_step"):
        monkeypatch.setattr(cases, name, lambda *_, **__: pytest.fail("measured"))
    names = [name for name, _ in device(5)]
    assert len(names) == len(set(names)) >= 4
    with pytest.raises(UserError):
        cases.picked(device(5), ["nothing of the kind"])


def test_records_are_written_and_looked_up_as_ever() -> None:
    assert 0 < sweeping.skipping_seconds(3) < 1
    assert 0 < sweeping.writing_seconds(3) < 1
