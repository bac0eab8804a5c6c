"""Options of sbatch, the script of an array of jobs, and waiting for them; a real SLURM is in tests/slurm."""

import subprocess
from pathlib import Path

import pytest

from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.launchers import assignments, slurm, slurm_queue
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.slurm_queue import Job, Submission
from peftcli.launchers.slurm_watch import Tally
from peftcli.runner.work import SweepSettings, WorkUnit
from tests import written_records


def test_sbatch_options_are_taken_but_for_those_set_here():
    assert slurm.parse(["constraint=a100", "mem=4G"]) == (("constraint", "a100"), ("mem", "4G"))
    for bad in ("constraint", "signal=USR2@1", "array=0-3", "Bad Key=1"):
        with pytest.raises(UserError, match="--slurm"):
            slurm.parse([bad])


def test_an_array_is_submitted_by_a_script_whose_jobs_read_an_assignment_each(tmp_path, monkeypatch):
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
    assert slurm_queue.submissions(output) == ([submission], [])
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


@pytest.mark.parametrize(
    ("others", "count"),
    [
        (["gres=gpu:4"], 4),
        (["gres=gpu"], 1),
        (["gres=gpu:a100:2,gpu:v100:1,shard:3"], 3),
        (["gpus=a100:8"], 8),
        (["gpus-per-node=2"], 2),
        (["gpus-per-task=3"], 3),
        (["tres-per-node=gres/gpu:2"], 2),
        (["tres-per-task=cpu=4,gres/gpu=2"], 2),
        (["gres=mps:50", "constraint=a100"], None),
    ],
)
def test_gpus_that_sbatch_is_asked_for_in_its_own_words_are_counted(others, count):
    request = slurm.request("60", None, None, None, others)
    assert request.gpus == count
    text = slurm.script(Path("/folder"), 1, request, count or 1)
    # Asked for once, and where there are GPUs the cluster says how many cores come with each.
    assert text.count("gpu") == " ".join(others).count("gpu")
    assert ("cpus-per-task" in text) == (count is None)


@pytest.mark.parametrize(
    ("gpus", "others", "said"),
    [
        (4, ["gres=gpu:4"], r"--gpus 4 and --slurm gres=gpu:4 both ask for GPUs"),
        (None, ["gpus-per-socket=2"], "does not say how many GPUs a job gets"),
        (None, ["gres=gpu:many:none"], r"its number of GPUs cannot be read; legal is gpu:N or gpu:TYPE:N"),
        (None, ["gpus=0"], "cannot be read"),
    ],
)
def test_gpus_that_cannot_be_counted_are_refused(gpus, others, said):
    with pytest.raises(UserError, match=said):
        slurm.request("60", None, gpus, None, others)


def test_each_process_of_a_job_gets_its_part_of_the_job_s_cores(tmp_path):
    text = slurm.script(tmp_path, 1, slurm.Request(60, gpus=2), 2)
    (line,) = [line for line in text.splitlines() if "OMP_NUM_THREADS" in line]

    def threads(**environment: str) -> str:
        script = f"{line}\necho $OMP_NUM_THREADS"
        return subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert threads(SLURM_CPUS_ON_NODE="12") == "6\n"
    assert threads(SLURM_CPUS_ON_NODE="1") == "1\n"
    assert threads() == "1\n"
    assert threads(SLURM_CPUS_ON_NODE="12", OMP_NUM_THREADS="3") == "3\n"


def test_waiting_goes_on_while_squeue_does_not_answer(tmp_path, monkeypatch):
    answers: list[object] = [
        {("7", 0): Job("RUNNING", "n1")},
        OSError("no controller"),
        {},
        {("7", 0): Job("PENDING", "")},
        {},
        {},
    ]

    def jobs(_: object) -> object:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(slurm_queue, "jobs", jobs)
    monkeypatch.setattr(slurm, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(slurm.time, "sleep", lambda _: None)
    (run, *_) = written_records.runs(written_records.small())
    slurm.wait(Submission(tmp_path, "7", "someone", 1, [[[run.id]]]), Tally([run], tmp_path), len)
    assert not answers
