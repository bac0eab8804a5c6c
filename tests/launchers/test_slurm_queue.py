"""Walltimes, and what a cluster's queue says of the runs that were submitted."""

import json
from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.launchers import slurm_queue
from peftcli.launchers.slurm_queue import Submission, minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30", 30), ("30:01", 31), ("1:30:00", 90), ("2-12", 3600), ("2-12:30", 3630), ("1-00:00:01", 1441)],
)
def test_walltimes_as_slurm_writes_them(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1:2:3:4", "-5", "0", "0:00"])
def test_what_is_no_walltime_is_refused(text):
    with pytest.raises(UserError, match="--time"):
        minutes(text)


class Queue:
    """A squeue that shows these lines."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = folder / "bin" / "squeue"
        self.file.parent.mkdir()
        monkeypatch.setenv("PATH", str(self.file.parent), prepend=":")

    def show(self, *lines: str) -> None:
        self.file.write_text("#!/bin/sh\ncat <<END\n" + "".join(f"{line}\n" for line in lines) + "END\n")
        self.file.chmod(0o755)


def submission(output: Path, job: str, shares: list[list[list[str]]], at_once: int = 1) -> None:
    folder = output / slurm_queue.FOLDER / job
    folder.mkdir(parents=True)
    document = Submission(folder, job, "someone", at_once, shares).document()
    (folder / slurm_queue.FILE).write_text(json.dumps(document))


def test_running_are_the_first_unfinished_cohorts_of_jobs_at_work(tmp_path, monkeypatch):
    submission(tmp_path, "7", [[["a", "b"], ["c"], ["d"]], [["e"], ["f"]], [["g"]]])
    Queue(tmp_path, monkeypatch).show("7|0|RUNNING|n1", "7|1|PENDING|", "8|0|RUNNING|n2", "9|N/A|RUNNING|n2")
    found = slurm_queue.outlook(tmp_path, ["b", "c", "d", "e", "f", "g"])
    assert found.states == {"b": "running", "c": "queued", "d": "queued", "e": "queued", "f": "queued"}  # g: job gone
    assert found.notes == ["job 7_0 RUNNING on n1: 1 running, 2 queued", "job 7_1 PENDING: 0 running, 2 queued"]


def test_jobs_with_several_processes_run_several_cohorts_and_a_second_submission_does_not_hide_the_first(
    tmp_path, monkeypatch
):
    submission(tmp_path, "7", [[["a"], ["b"], ["c"]]], at_once=2)
    submission(tmp_path, "8", [[["a"], ["c"]]])
    Queue(tmp_path, monkeypatch).show("7|0|RUNNING|n1", "8|0|PENDING|")
    assert slurm_queue.outlook(tmp_path, "abc").states == {"a": "running", "b": "running", "c": "queued"}


def test_without_an_answer_nothing_is_made_up(tmp_path, monkeypatch):
    submission(tmp_path, "7", [[["a"]]])
    (tmp_path / slurm_queue.FOLDER / "8").mkdir()
    (tmp_path / slurm_queue.FOLDER / "8" / slurm_queue.FILE).write_text("{")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = slurm_queue.outlook(tmp_path, ["a"])
    assert found.states == {}
    assert "damaged" in found.notes[0]
    assert "not known" in found.notes[1]
    own = Queue(tmp_path, monkeypatch)
    own.file.write_text("#!/bin/false\n")
    own.file.chmod(0o755)
    assert "does not answer" in slurm_queue.outlook(tmp_path, ["a"]).notes[1]
    assert slurm_queue.outlook(tmp_path, []).states == {}  # nothing is missing: nobody is asked
