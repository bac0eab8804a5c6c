"""Shares, walltimes, options and the queue: what is decided before any process is started."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peftcli.errors import UserError
from peftcli.experiment import notation, plan
from peftcli.launchers import assignments, launch, slurm, slurm_watch
from peftcli.launchers import slurm_queue as queue
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.slurm_queue import minutes
from peftcli.launchers.slurm_watch import JobsView, Tally
from tests import written_records

NOTHING = dict.fromkeys(
    ("--processes", "--processes-per-run", "--partition", "--time", "--gpus", "--max-jobs", "--account", "--detach")
) | {"--slurm": []}


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=30), st.integers(1, 8))
def test_shares_hold_every_cohort_once_and_none_is_far_behind(costs, count):
    found = assignments.divide(list(range(len(costs))), count, lambda own: costs[own])
    assert sorted(own for share in found for own in share) == list(range(len(costs)))
    assert len(found) == min(count, len(costs))
    for share in found:
        assert [costs[own] for own in share] == sorted((costs[own] for own in share), reverse=True)
    loads = [sum(costs[own] for own in share) for share in found]
    best = max(max(costs), sum(costs) / count)
    assert max(loads) <= (4 / 3 - 1 / (3 * count)) * best * (1 + 1e-9) or max(loads) <= best + max(
        costs
    )  # Graham, 1969


def test_longest_first():
    costs = {"a": 3.0, "b": 7.0, "c": 5.0, "d": 4.0}
    assert assignments.divide(list(costs), 2, costs.__getitem__) == [("b", "a"), ("c", "d")]


def cost(name: str, **changes: object) -> float:
    strategy = notation.parse_strategy(name)
    runs = written_records.runs(
        written_records.small(strategies=[strategy], tasks=["rte"], learning_rates=[1e-4], seeds=[0], **changes)
    )
    return assignments.cost("minilm", tuple(runs))


def test_cost_counts_epochs_tokens_and_what_moves():
    assert cost("frozen") < cost("layernorm") < cost("full")
    assert cost("layernorm", training={"epochs": 6}) == pytest.approx(2 * cost("layernorm", training={"epochs": 3}))
    long = cost("full", training={"max_length": 256}) / cost("full", training={"max_length": 128})
    assert long == pytest.approx(2)
    few = cost("full", training={"max_train_samples": 160}) / cost("full")
    assert few < 0.2


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


@pytest.mark.parametrize(
    ("launcher", "options", "said"),
    [
        ("slrum", {}, "did you mean 'slurm'"),
        (
            "local",
            {"--processes": 2},
            "--processes does nothing with --launcher local: it is for --launcher accelerate",
        ),
        ("accelerate", {"--partition": "a"}, "--partition does nothing .* --launcher slurm"),
        ("local", {"--detach": True}, "--detach does nothing"),
    ],
)
def test_options_of_another_launcher_are_refused(launcher, options, said):
    with pytest.raises(UserError, match=said):
        launch.choose(launcher, {**NOTHING, **options})


def test_sbatch_options_are_taken_but_for_those_set_here():
    assert slurm.parse(["constraint=a100", "mem=4G"]) == (("constraint", "a100"), ("mem", "4G"))
    for bad in ("constraint", "signal=USR2@1", "array=0-3", "Bad Key=1"):
        with pytest.raises(UserError, match="--slurm"):
            slurm.parse([bad])


def test_an_assignment_reads_back_and_a_damaged_one_is_refused(tmp_path):
    from peftcli.runner.work import SweepSettings, WorkUnit

    runs = written_records.runs(written_records.small())
    unit = WorkUnit(tuple(plan.cohorts(runs, 4)), frozenset(run.id for run in runs[:5]), "name")
    settings = SweepSettings("minilm", tmp_path, None, checkpoint_seconds=5.0, own_data={"mine": tmp_path / "mine.csv"})
    whole = Assignment(unit, settings, True, 4, 2)
    file = tmp_path / "share.json"
    file.write_text(assignments.encode(whole))
    assert assignments.decode(file) == whole
    file.write_text(file.read_text().replace('"wanted"', '"wnated"'))
    with pytest.raises(UserError, match="not an assignment"):
        assignments.decode(file)


def test_an_array_is_submitted_by_a_script_whose_jobs_read_an_assignment_each(tmp_path, monkeypatch):
    from peftcli.runner.work import SweepSettings, WorkUnit

    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.write_text('#!/bin/sh\necho "Submitted batch job 1234 on cluster c5"\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    cohorts = tuple(plan.cohorts(written_records.runs(written_records.small()), 1))
    unit = WorkUnit(cohorts, frozenset(run.id for cohort in cohorts[:3] for run in cohort))
    output = tmp_path / "out of place"
    whole = Assignment(unit, SweepSettings("minilm", output), True, 4, 2)
    options = slurm.request("5:00", "long", None, None, ["mem=4G", "comment=a b"])
    submission = slurm.submit(whole, options, 2)
    assert (submission.job, submission.at_once) == ("1234", 2)
    assert submission.log(1) == submission.folder / "1234_1_0_log.err"
    parts = [assignments.decode(submission.folder / f"assignment-{number}.json") for number in range(2)]
    assert [[[run.id] for run in part.unit.runs] for part in parts] == submission.cohorts
    assert {run.id for part in parts for run in part.unit.runs} == unit.wanted
    assert [(part.retry_failed, part.processes, part.per_cohort) for part in parts] == [(True, 4, 2)] * 2
    assert queue.submissions(output) == ([submission], [])
    lines = (submission.folder / "job.sh").read_text().splitlines()
    asked = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}
    assert {"--array=0-1", "--time=5", "--partition=long", "--mem=4G", "--comment='a b'", "--requeue"} <= asked
    assert {"--signal=USR1@30", "--cpus-per-task=4", "--open-mode=append"} <= asked
    assert f"--error='{submission.folder}/%A_%a_0_log.err'" in asked
    (command,) = [line for line in lines if line.startswith("srun")]
    assert command.endswith(
        f"""-m peftcli.launchers.job '{submission.folder}'/assignment-"$SLURM_ARRAY_TASK_ID".json"""
    )
    assert '[ $code -eq 75 ] && scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"' in lines
    assert subprocess.run(["bash", "-n", submission.folder / "job.sh"], check=True).returncode == 0
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: no such partition' >&2\necho more >&2\nexit 1\n")
    with pytest.raises(UserError, match=r"^SLURM refused the jobs: sbatch: error: no such partition$"):
        slurm.submit(whole, options, 2)


def test_jobs_with_gpus_leave_the_number_of_cores_to_the_cluster():
    text = slurm.script(Path("/folder"), 3, slurm.Request(600, gpus=2), 2)
    assert "--gpus-per-node=2" in text
    assert "--signal=USR1@120" in text
    assert "cpus-per-task" not in text
    assert "--cpus-per-task=6" in slurm.script(Path("/f"), 3, slurm.Request(600, others=(("cpus-per-task", "6"),)), 2)


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
    folder = output / queue.FOLDER / job
    folder.mkdir(parents=True)
    document = queue.Submission(folder, job, "someone", at_once, shares).document()
    (folder / queue.FILE).write_text(json.dumps(document))


def test_running_are_the_first_unfinished_cohorts_of_jobs_at_work(tmp_path, monkeypatch):
    submission(tmp_path, "7", [[["a", "b"], ["c"], ["d"]], [["e"], ["f"]], [["g"]]])
    Queue(tmp_path, monkeypatch).show("7|0|RUNNING|n1", "7|1|PENDING|", "8|0|RUNNING|n2", "9|N/A|RUNNING|n2")
    found = queue.outlook(tmp_path, ["b", "c", "d", "e", "f", "g"])
    assert found.states == {"b": "running", "c": "queued", "d": "queued", "e": "queued", "f": "queued"}  # g: job gone
    assert found.notes == ["job 7_0 RUNNING on n1: 1 running, 2 queued", "job 7_1 PENDING: 0 running, 2 queued"]


def test_jobs_with_several_processes_run_several_cohorts_and_a_second_submission_does_not_hide_the_first(
    tmp_path, monkeypatch
):
    submission(tmp_path, "7", [[["a"], ["b"], ["c"]]], at_once=2)
    submission(tmp_path, "8", [[["a"], ["c"]]])
    Queue(tmp_path, monkeypatch).show("7|0|RUNNING|n1", "8|0|PENDING|")
    assert queue.outlook(tmp_path, "abc").states == {"a": "running", "b": "running", "c": "queued"}


def test_without_an_answer_nothing_is_made_up(tmp_path, monkeypatch):
    submission(tmp_path, "7", [[["a"]]])
    (tmp_path / queue.FOLDER / "8").mkdir()
    (tmp_path / queue.FOLDER / "8" / queue.FILE).write_text("{")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = queue.outlook(tmp_path, ["a"])
    assert found.states == {}
    assert "damaged" in found.notes[0]
    assert "not known" in found.notes[1]
    own = Queue(tmp_path, monkeypatch)
    own.file.write_text("#!/bin/false\n")
    own.file.chmod(0o755)
    assert "does not answer" in queue.outlook(tmp_path, ["a"]).notes[1]
    assert queue.outlook(tmp_path, []).states == {}  # nothing is missing: nobody is asked


def test_waiting_goes_on_while_squeue_does_not_answer(tmp_path, monkeypatch):
    answers: list[object] = [
        {("7", 0): queue.Job("RUNNING", "n1")},
        OSError("no controller"),
        {},
        {("7", 0): queue.Job("PENDING", "")},
        {},
        {},
    ]

    def jobs(_: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(queue, "jobs", jobs)
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(slurm.time, "sleep", lambda _: None)
    (run, *_) = written_records.runs(written_records.small())
    slurm.wait(queue.Submission(tmp_path, "7", "someone", 1, [[[run.id]]]), Tally([run], tmp_path), len)
    assert not answers


def test_runs_count_as_ended_once_their_record_is_new(tmp_path):
    first, second, *_ = written_records.runs(written_records.small())
    written_records.write(tmp_path, first, {}, "failed")
    tally = Tally([first, second], tmp_path)
    assert tally.left([first, second]) == [first, second]
    assert tally.counts() == (0, 0)
    written_records.write(tmp_path, first, {"validation": {"accuracy": 0.5}})
    assert tally.left([first, second]) == [second]
    assert tally.counts() == (1, 0)
    written_records.write(tmp_path, second, {}, "failed")
    assert tally.counts() == (1, 1)


def test_what_is_shown_of_jobs_comes_from_the_queue_and_the_records(tmp_path, monkeypatch):
    runs = written_records.runs(written_records.small())[:6]
    ids = [run.id for run in runs]
    costs = dict(zip(ids, (1.0, 1.0, 4.0, 3.0, 3.0, 5.0), strict=True))
    monkeypatch.setattr(slurm_watch.time, "monotonic", lambda: now)
    now = 100.0
    shares_ = [[ids[:2], ids[2:3]], [ids[3:4], ids[4:5]], [ids[5:]]]
    submission_ = queue.Submission(tmp_path, "7", "someone", 1, shares_)
    view = JobsView(submission_, Tally(runs, tmp_path), lambda cohort: sum(costs[run.id] for run in cohort))
    jobs = {("7", 0): queue.Job("RUNNING", "n1"), ("7", 1): queue.Job("PENDING", "")}
    first = view.screen(jobs)
    assert first.rows == (
        ("7_0", "RUNNING", "n1", f"{runs[0].describe()} and 1 more", "3 of 3"),
        ("7_1", "PENDING", "", "", "2 of 2"),
        ("7_2", "OVER", "", "", "1 of 1"),
    )
    assert first.summary == "0 done, 0 failed, 6 left"
    for run, status in ((runs[0], "completed"), (runs[1], "failed")):
        written_records.write(tmp_path, run, {"validation": {"accuracy": 0.5}} if status == "completed" else {}, status)
    now = 120.0  # 2 of 6 in twenty seconds: 40 more for the first job, 60 for the second if it is as fast
    second = view.screen(jobs)
    assert second.rows[0] == ("7_0", "RUNNING", "n1", runs[2].describe(), "1 of 3")
    assert second.summary == "1 done, 1 failed, 4 left; about 60 s left"
