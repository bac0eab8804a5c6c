"""A sweep by the jobs of a SLURM cluster: an array, each job of it with a unit; what is done, the records alone say.

Jobs are submitted through submitit's sbatch writer. Nothing is pickled: a job reads its assignment, a JSON file. A job
that is warned (SIGUSR1 before its walltime, SIGTERM when preempted) saves, ends with 75, and its script requeues it.
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
from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.launchers import assignments, shares
from peftcli.launchers import slurm_queue as queue
from peftcli.launchers.assignments import Assignment
from peftcli.launchers.slurm_queue import Job, Submission
from peftcli.launchers.slurm_watch import View
from peftcli.launchers.tally import Tally
from peftcli.launchers.worker import python_path
from peftcli.runner.display import Board, Screen
from peftcli.runner.work import SweepSettings, WorkUnit
from peftcli.stopping import STOPPED, Stopped, asked, deferred

JOBS = 16  # where --max-jobs does not say otherwise
OURS = ("array", "error", "job-name", "nodes", "ntasks-per-node", "open-mode", "output", "requeue", "signal", "time")
POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Request:
    """What every job asks the cluster for; `minutes` of walltime, `gpus` a job, `others` as sbatch names them."""

    minutes: int
    partition: str | None = None
    gpus: int | None = None
    account: str | None = None
    others: tuple[tuple[str, str], ...] = ()


def parse(pairs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read `--slurm key=value` options. Raises UserError for a malformed one, and for one that is set here."""
    found = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(r"[a-z][a-z0-9-]*", key):
            raise UserError(f"--slurm {pair!r}: give an option of sbatch as key=value, e.g. constraint=a100")
        if key in OURS:
            raise UserError(f"--slurm {key}: this one is set by peftcli; not for --slurm: {', '.join(OURS)}")
        found.append((key, value))
    return tuple(found)


def submit(
    unit: WorkUnit, settings: SweepSettings, retry_failed: bool, request: Request, jobs: int, processes: int, each: int
) -> Submission:
    """Divide a unit among at most `jobs` jobs and submit them as one array. Raises UserError where SLURM refuses."""
    check()
    parts = shares.divide(unit.wanted_cohorts, jobs, partial(shares.cost, settings.model))
    folder = settings.output.resolve() / queue.FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    for number, cohorts in enumerate(parts):
        text = assignments.encode(Assignment(unit.part(cohorts), settings, retry_failed, processes, each))
        files.write(folder / f"share-{number}.json", text)
    job = _submit(folder, len(parts), request, processes)
    ids = [[[run.id for run in unit.wanted_in(cohort)] for cohort in cohorts] for cohorts in parts]
    found = Submission(folder, job, getuser(), max(1, processes // each), ids)
    files.write(folder / queue.FILE, json.dumps(found.document(), indent=1) + "\n")
    return found


def check() -> None:
    """See that there is a SLURM to submit to. Raises UserError."""
    missing = [name for name in ("sbatch", "squeue", "srun", "scontrol") if shutil.which(name) is None]
    if missing:
        raise UserError(f"--launcher slurm needs SLURM's commands on this machine; not found: {', '.join(missing)}")
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise UserError("--launcher slurm needs the package submitit: pip install 'peftcli[slurm]'") from None


def wait(submission: Submission, tally: Tally, cost: Callable[[Sequence[Run]], float]) -> None:
    """Wait until no job of a submission is queued or at work, and show them; `cost` is of a cohort.

    Raises Stopped on a signal: the jobs go on.
    """
    gone, due, view = 0, 0.0, View(submission, tally, cost)
    found = view.screen({})

    def current() -> Screen:
        return found

    with Board() as board, deferred(lambda: None):
        while gone < 2:  # a job that is requeued may be away for a moment
            if asked():
                print(f"the jobs of array {submission.job} go on; peftcli plan shows how far they are", file=sys.stderr)
                raise Stopped
            if time.monotonic() >= due:
                due = time.monotonic() + POLL_SECONDS
                jobs = _jobs(submission)
                gone = gone + 1 if jobs == {} else 0
                found = view.screen(jobs) if jobs is not None else _unanswered(found)
            board.show(current)
            time.sleep(0.5)


def _unanswered(screen: Screen) -> Screen:
    words = "squeue does not answer: "
    return replace(screen, summary=words + screen.summary.removeprefix(words))


def _jobs(submission: Submission) -> dict[tuple[str, int], Job] | None:
    """The jobs the queue still has of a submission; None where it gives no answer, since jobs go on without it."""
    try:
        return queue.jobs([submission])
    except (OSError, subprocess.SubprocessError):
        return None


def _submit(folder: Path, count: int, request: Request, processes: int) -> str:
    """Write the script of an array of `count` jobs and give it to sbatch; gives the array's number."""
    import submitit

    executor = submitit.SlurmExecutor(folder)
    given = dict(request.others)
    more = {"signal": f"USR1@{_warning(request.minutes)}", "requeue": True, **given}
    if not request.gpus and not {"cpus-per-task", "cpus-per-gpu"} & set(given):
        more["cpus-per-task"] = str(processes)
    executor.update_parameters(
        job_name="peftcli",
        time=request.minutes,
        nodes=1,
        ntasks_per_node=1,
        partition=request.partition,
        account=request.account,
        gpus_per_node=request.gpus,
        setup=[f"export PYTHONPATH={shlex.quote(python_path())}"],
        teardown=[
            "code=$?",
            f'[ $code -eq {STOPPED} ] && scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"',
            "exit $code",
        ],
        additional_parameters=more,
        array_parallelism=count,
    )
    executor.parameters["map_count"] = count
    program = f"{shlex.quote(sys.executable)} -m peftcli.launchers.job"
    script = f"""{program} {shlex.quote(str(folder))}/share-"$SLURM_ARRAY_TASK_ID".json"""
    try:
        return str(executor._submit_command(script).job_id)
    except submitit.core.utils.FailedJobError as error:
        raise UserError(f"SLURM refused the jobs: {_reason(str(error))}") from None


def _warning(minutes: int) -> int:
    """How many seconds before the walltime a job is warned."""
    return 120 if minutes >= 10 else 30


def _reason(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line.lower()]
    return lines[-1] if lines else text


def request(
    time_limit: str, partition: str | None, gpus: int | None, account: str | None, others: Sequence[str]
) -> Request:
    """Make a request from the command line's options. Raises UserError."""
    from peftcli.launchers.walltime import minutes

    return Request(minutes(time_limit), partition, gpus, account, parse(others))
