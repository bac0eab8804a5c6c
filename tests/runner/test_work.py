"""The work of one process: which runs are wanted, which of them have no record yet, and what train along."""

from pathlib import Path

from peftcli.runner import work
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import written_records

RUNS = written_records.runs(written_records.small())
SCORES = {"validation": {"accuracy": 0.5}}


def test_a_unit_has_the_wanted_runs_of_its_cohorts_in_their_order() -> None:
    first, second, third, fourth, fifth = RUNS[:5]
    unit = WorkUnit(((first, second), (third,), (fourth, fifth)), frozenset({second.id, fifth.id, fourth.id}), "s")
    assert unit.wanted_in((first, second)) == [second]
    assert unit.runs == [second, fourth, fifth]
    assert unit.wanted_cohorts == [(first, second), (fourth, fifth)]  # whole: cohorts are not cut
    assert unit.part(((first, second), (third,))) == WorkUnit(((first, second), (third,)), frozenset({second.id}), "s")


def test_missing_are_the_runs_without_a_record_and_failed_ones_where_so_asked(tmp_path: Path) -> None:
    completed, failed, diverged, left = RUNS[:4]
    for run, status in ((completed, "completed"), (failed, "failed"), (diverged, "diverged")):
        written_records.write(tmp_path, run, SCORES, status)
    settings = SweepSettings("minilm", tmp_path)
    assert work.missing(RUNS[:4], settings, retry_failed=False) == {left.id}
    assert work.missing(RUNS[:4], settings, retry_failed=True) == {left.id, failed.id}


def test_a_task_of_one_s_own_is_read_from_its_own_file(tmp_path: Path) -> None:
    (run, *_) = RUNS
    settings = SweepSettings("minilm", tmp_path, tmp_path / "data", own_data={run.task: tmp_path / "mine.csv"})
    assert settings.source(run) == tmp_path / "data"
    mine = run.model_copy(update={"data": {"kind": "pair"}})
    assert settings.source(mine) == tmp_path / "mine.csv"
    assert settings.source(mine.model_copy(update={"task": "another"})) is None
