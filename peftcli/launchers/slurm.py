"""A sweep by the jobs of a SLURM cluster: an array whose every job has a part of the cohorts; records alone say what is done.

Nothing is pickled: a job reads its assignment, a JSON file. A job that is warned (SIGUSR1 before its walltime, SIGTERM
when preempted) saves, ends with 75, and its script requeues it.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from getpass import getuser
from pathlib import Path

from peftcli import files
from peftcli.errors import UserError, key_value
from peftcli.experiment.run import Run
from peftcli.launchers import assignments, slurm_queue
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.slurm_queue import Job, Submission
from peftcli.launchers.slurm_watch import JobsView, Tally
from peftcli.runner.children import python_path
from peftcli.runner.display import Board, Screen
from peftcli.stopping import STOPPED, Stopped, asked, deferred

JOBS = 16  # where --max-jobs does not say otherwise
GPU_OPTIONS = ("gpus", "gpus-per-node", "gpus-per-task", "gpus-per-socket")  # a job is one task on one node
OURS = ("array", "error", "job-name", "nodes", "ntasks-per-node", "open-mode", "output", "requeue", "signal", "time")
POLL_SECONDS = 5.0  # between two questions to squeue, which all users of a cluster share
UNANSWERED = "squeue does not answer: "


@dataclass(frozen=True)
class Request:
    """What every job asks the cluster for; `minutes` of walltime, `gpus` a job, `others` as sbatch names them."""

    minutes: int
    partition: str | None = None
    gpus: int | None = None
    account: str | None = None
    others: tuple[tuple[str, str], ...] = ()


def request(
    time_limit: str, partition: str | None, gpus: int | None, account: str | None, others: Sequence[str]
) -> Request:
    """Make a request from the command line's options, of which `--slurm` may ask for GPUs too. Raises UserError."""
    parsed = parse(others)
    asked = gpus_asked_for(parsed)
    if gpus is not None and asked:
        raise UserError(f"--gpus {gpus} and --slurm {asked[0][0]} both ask for GPUs: give one of them")
    count = sum(number for _, number in asked) if asked else gpus
    return Request(slurm_queue.minutes(time_limit), partition, count, account, parsed)


def gpus_asked_for(others: Sequence[tuple[str, str]]) -> list[tuple[str, int]]:
    """The options of sbatch that ask for GPUs, as `key=value`, and how many each gives a job. Raises UserError."""
    asked = []
    for key, value in others:
        # gres=gpu:a100:2,other:1 and tres-per-node=gres/gpu:2 name the kind of resource; gpus=a100:2 only the GPU's.
        named = key == "gres" or key.startswith("tres-per-")
        if not named and key not in GPU_OPTIONS:
            continue
        parts = [part.removeprefix("gres/") for part in value.split(",")]
        gpus = [part for part in parts if re.match(r"gpu\b", part)] if named else [f"gpu:{part}" for part in parts]
        if key in ("gpus-per-socket", "tres-per-socket") and gpus:
            raise UserError(f"--slurm {key}={value} does not say how many GPUs a job gets: give --gpus or gres=gpu:N")
        counts = [re.fullmatch(r"gpu([:=][A-Za-z][\w.-]*)?([:=](?P<count>[1-9]\d*))?", part) for part in gpus]
        if not all(counts):
            raise UserError(f"--slurm {key}={value}: its number of GPUs cannot be read; legal is gpu:N or gpu:TYPE:N")
        if gpus:
            asked.append((f"{key}={value}", sum(int(count["count"] or 1) for count in counts if count)))
    return asked


def parse(pairs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read `--slurm key=value` options. Raises UserError for a malformed one, and for one that is set here."""
    options = []
    for pair in pairs:
        complaint = f"--slurm {pair!r}: give an option of sbatch as key=value, e.g. constraint=a100"
        key, value = key_value(pair, complaint)
        if not re.fullmatch(r"[a-z][a-z0-9-]*", key):
            raise UserError(complaint)
        if key in OURS:
            raise UserError(f"--slurm {key}: this one is set by peftcli; not for --slurm: {', '.join(OURS)}")
        options.append((key, value))
    return tuple(options)


def check() -> None:
    """Check that SLURM's commands are on this machine. Raises UserError."""
    missing = [name for name in ("sbatch", "squeue", "srun", "scontrol") if shutil.which(name) is None]
    if missing:
        raise UserError(f"--launcher slurm needs SLURM's commands on this machine; not found: {', '.join(missing)}")


def submit(assignment: Assignment, request: Request, jobs: int) -> Submission:
    """Divide an assignment among at most `jobs` jobs and submit them as one array. Raises UserError where SLURM refuses."""
    unit, settings = assignment.unit, assignment.settings
    parts = assignments.divide(unit.wanted_cohorts, jobs, partial(assignments.cost, settings.model))
    folder = settings.output.resolve() / slurm_queue.FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    for number, cohorts in enumerate(parts):
        text = assignments.encode(replace(assignment, unit=unit.part(cohorts)))
        files.write(folder / f"assignment-{number}.json", text)
    files.write(folder / "job.sh", script(folder, len(parts), request, assignment.processes))
    job = _sbatch(folder / "job.sh")
    ids = [[[run.id for run in unit.wanted_in(cohort)] for cohort in cohorts] for cohorts in parts]
    submission = Submission(folder, job, getuser(), max(1, assignment.processes // assignment.per_cohort), ids)
    files.write(folder / slurm_queue.FILE, json.dumps(submission.document(), indent=1) + "\n")
    return submission


def script(folder: Path, count: int, request: Request, processes: int) -> str:
    """The batch script of an array of `count` jobs, of which job n trains `folder/assignment-n.json`."""
    # %A the array, %a the job's number in it, %t the process in the job. sbatch's own messages go to the log of the
    # job's only process, and a job that is requeued adds to the log it began.
    options: dict[str, str | int | None] = {
        "job-name": "peftcli",
        "array": f"0-{count - 1}",
        "time": request.minutes,
        "nodes": 1,
        "ntasks-per-node": 1,
        "partition": request.partition,
        "account": request.account,
        "gpus-per-node": None if gpus_asked_for(request.others) else request.gpus,
        "error": f"{folder}/%A_%a_0_log.err",
        "output": f"{folder}/%A_%a_0_log.out",
        "open-mode": "append",
        # So many seconds before its walltime a job is warned: enough to save the largest checkpoint and to requeue.
        "signal": f"USR1@{120 if request.minutes >= 10 else 30}",
        **dict(request.others),
    }
    # Where there are GPUs, the cluster's own default says how many cores come with each.
    if not request.gpus and not {"cpus-per-task", "cpus-per-gpu"} & options.keys():
        options["cpus-per-task"] = processes
    lines = [f"#SBATCH --{name}={shlex.quote(str(value))}" for name, value in options.items() if value is not None]
    logs = shlex.quote(f"{folder}/%A_%a_%t_log")
    program = f"{shlex.quote(sys.executable)} -m peftcli.launchers.job"
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "#SBATCH --requeue",
            f"export PYTHONPATH={shlex.quote(python_path())}",
            # Else each process takes all of the node's cores, where the cluster does not bind jobs to theirs.
            f'export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-$((SLURM_CPUS_ON_NODE > {processes} ? '
            f'SLURM_CPUS_ON_NODE / {processes} : 1))}}"',
            f"srun --unbuffered --output {logs}.out --error {logs}.err {program} "
            f'{shlex.quote(str(folder))}/assignment-"$SLURM_ARRAY_TASK_ID".json',
            "code=$?",
            f'[ $code -eq {STOPPED} ] && scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"',
            "exit $code",
            "",
        ]
    )


def wait(submission: Submission, tally: Tally, cost: Callable[[Sequence[Run]], float]) -> None:
    """Wait until no job of a submission is queued or running, and show them; `cost` is of a cohort.

    Raises Stopped on a signal: the jobs go on.
    """
    absent, due, view = 0, 0.0, JobsView(submission, tally, cost)
    screen = view.screen({})

    def current() -> Screen:
        return screen

    with Board() as board, deferred(lambda: None):
        while absent < 2:  # answers in a row without a job: one that is requeued may be away for a moment
            if asked():
                print(f"the jobs of array {submission.job} go on; peftcli plan shows how far they are", file=sys.stderr)
                raise Stopped
            if time.monotonic() >= due:
                due = time.monotonic() + POLL_SECONDS
                jobs = _jobs(submission)
                absent = absent + 1 if jobs == {} else 0
                if jobs is not None:
                    screen = view.screen(jobs)
                else:  # what was last seen stays, and says so once
                    screen = replace(screen, summary=UNANSWERED + screen.summary.removeprefix(UNANSWERED))
            board.show(current)
            time.sleep(0.5)


def unfinished(submission: Submission, tally: Tally) -> list[str]:
    """A line for every job that is over and has left runs without a record."""
    by_id = {run.id: run for run in tally.runs}
    lines = []
    for number, cohorts in enumerate(submission.cohorts):
        runs = [by_id[run_id] for cohort in cohorts for run_id in cohort]
        if left := len(tally.left(runs)):
            name = f"{submission.job}_{number}"
            lines.append(f"job {name} left {left} of its {len(runs)} runs: see {submission.log(number)}")
    return lines


def _jobs(submission: Submission) -> dict[tuple[str, int], Job] | None:
    """The jobs of a submission that the queue still has; None where it gives no answer, since jobs go on without it."""
    try:
        return slurm_queue.jobs([submission])
    except (OSError, subprocess.SubprocessError):
        return None


def _sbatch(file: Path) -> str:
    """Submit a script; returns the array's number. Raises UserError with SLURM's own words where it refuses."""
    answer = subprocess.run(["sbatch", str(file)], capture_output=True, text=True)
    number = re.search(r"job (\d+)", answer.stdout)
    if answer.returncode or number is None:
        said = (answer.stderr or answer.stdout).strip().splitlines() or [f"sbatch ended with {answer.returncode}"]
        errors = [line for line in said if "error" in line.lower()]
        raise UserError(f"SLURM refused the jobs: {(errors or said)[-1]}")
    return number[1]
