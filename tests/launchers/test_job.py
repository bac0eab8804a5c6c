"""A cluster's job trains what its assignment says and has no record yet, and ends with an exit code that says how it went."""

from pathlib import Path
from typing import Any

import pytest

from peftcli import stopping
from peftcli.experiment import cohort_size, plan
from peftcli.launchers import accelerate, assignments, job, launch
from peftcli.launchers.assignments import Assignment
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import written_records

RUNS = written_records.runs(written_records.small())[:4]


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "install", lambda: None)


def started(file: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Start a job in this process; returns its exit code."""
    monkeypatch.setattr("sys.argv", ["job", str(file)])
    with pytest.raises(SystemExit) as ended:
        job.main()
    return int(ended.value.code or 0)


def assignment(folder: Path, processes: int) -> Path:
    """An assignment of four runs, of which the first has its record."""
    unit = WorkUnit(tuple(plan.cohorts(RUNS, 1)), frozenset(run.id for run in RUNS))
    written_records.write(folder / "out", RUNS[0], {"validation": {"accuracy": 0.5}}, data=None)
    whole = Assignment(unit, SweepSettings("minilm", folder / "out"), False, processes, 1)
    (folder / "assignment.json").write_text(assignments.encode(whole))
    return folder / "assignment.json"


def test_what_has_a_record_since_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    units: list[WorkUnit] = []
    monkeypatch.setattr(launch, "train_here", lambda unit, settings: units.append(unit))
    assert started(assignment(tmp_path, 1), monkeypatch) == 0
    assert [unit.wanted for unit in units] == [{run.id for run in RUNS[1:]}]
    assert capsys.readouterr().err == "3 of 4 runs to train\n"


def test_a_smaller_size_that_was_pinned_since_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units: list[WorkUnit] = []
    monkeypatch.setattr(launch, "train_here", lambda unit, settings: units.append(unit))
    whole = WorkUnit((tuple(RUNS),), frozenset(run.id for run in RUNS), "a-sweep")
    file = tmp_path / "assignment.json"
    file.write_text(assignments.encode(Assignment(whole, SweepSettings("minilm", tmp_path), False, 1, 1)))
    assert started(file, monkeypatch) == 0
    cohort_size.pin(tmp_path, "a-sweep", cohort_size.Pin(2))
    assert started(file, monkeypatch) == 0
    assert [unit.cohorts for unit in units] == [(tuple(RUNS),), (tuple(RUNS[:2]), tuple(RUNS[2:]))]
    assert units[1].wanted == whole.wanted


@pytest.mark.parametrize(("lines", "code"), [([], 0), (["process 1 ended early"], 1)])
def test_a_process_that_died_is_named_and_the_job_has_failed(
    lines: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(unit: WorkUnit, *rest: Any) -> list[str]:
        assert rest[1:] == (2, 1)
        return lines

    monkeypatch.setattr(accelerate, "run", run)
    assert started(assignment(tmp_path, 2), monkeypatch) == code
    assert capsys.readouterr().err == "3 of 4 runs to train\n" + "".join(f"{line}\n" for line in lines or [""])


def test_a_damaged_assignment_is_one_line_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "assignment.json").write_text("{}")
    assert started(tmp_path / "assignment.json", monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("peftcli: ")
    assert said.count("\n") == 1
