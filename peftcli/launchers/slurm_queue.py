"""What a cluster's queue says of the jobs submitted for a results folder: which runs are training, which wait. No torch."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftcli.errors import UserError

FOLDER, FILE = ".slurm", "submission.json"
PATIENCE = 30.0  # seconds for squeue to answer
_WALLTIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<numbers>\d+(?::\d+){0,2})")


@dataclass(frozen=True)
class Submission:
    """One array of jobs: its number in SLURM, who submitted it, and by job the ids of each cohort's wanted runs.

    A job trains `at_once` cohorts at a time.
    """

    folder: Path
    job: str
    user: str
    at_once: int
    cohorts: list[list[list[str]]]  # by job, by cohort

    def document(self) -> dict[str, Any]:
        """What is written to `FILE`. Keys stay: `peftcli plan` reads what earlier versions have submitted."""
        return {"job": self.job, "user": self.user, "at_once": self.at_once, "shares": self.cohorts}

    def log(self, number: int) -> Path:
        """The file that a job's messages go to."""
        return self.folder / f"{self.job}_{number}_0_log.err"


@dataclass(frozen=True)
class Job:
    """One job of an array as squeue shows it; `node` is empty while it waits."""

    state: str
    node: str


@dataclass(frozen=True)
class Outlook:
    """Which runs of a results folder are training or waiting in a queue, by id, and notes for the user."""

    states: Mapping[str, str]
    notes: list[str]


def submissions(output: Path) -> tuple[list[Submission], list[Path]]:
    """Read every submission made for a results folder; the second list names files that cannot be read as one."""
    sound, damaged = [], []
    for file in sorted((output / FOLDER).glob(f"*/{FILE}")):
        try:
            document = json.loads(file.read_text())
            cohorts = [[[str(run_id) for run_id in cohort] for cohort in job] for job in document["shares"]]
            job, user, at_once = str(document["job"]), str(document["user"]), int(document["at_once"])
            sound.append(Submission(file.parent, job, user, at_once, cohorts))
        except (OSError, ValueError, KeyError, TypeError):
            damaged.append(file)
    return sound, damaged


def jobs(of: Sequence[Submission]) -> dict[tuple[str, int], Job]:
    """Ask squeue for the jobs of submissions that are queued or running, by array and number.

    Raises OSError or subprocess.SubprocessError where it does not answer.
    """
    users = ",".join(sorted({submission.user for submission in of}))
    # %F array, %K number in the array, %T state, %N node: man squeue, --format. Asked by user, not by job: squeue
    # refuses the number of a job that has left the queue.
    command = ["squeue", "--array", "--noheader", "--user", users, "--format", "%F|%K|%T|%N"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    arrays = {submission.job for submission in of}
    queued = {}
    for line in answer.stdout.splitlines():
        array, number, state, node = line.split("|")
        if array in arrays and number.isdigit():  # a job outside an array has N/A
            queued[array, int(number)] = Job(state, node)
    return queued


def outlook(output: Path, missing: Iterable[str]) -> Outlook:
    """Say which runs without a record are `running` and which `queued`; those of no job in the queue are in neither."""
    # A sweep may have been submitted several times, and each time for what was missing then.
    readable, damaged = submissions(output)
    notes = [f"{file}: damaged, skipped" for file in damaged]
    left = set(missing)
    waited = [s for s in readable if any(run_id in left for job in s.cohorts for cohort in job for run_id in cohort)]
    if not waited:
        return Outlook({}, notes)
    if shutil.which("squeue") is None:
        notes.append("squeue is not on this machine: which of the submitted runs are at work is not known")
        return Outlook({}, notes)
    try:
        queued = jobs(waited)
    except (OSError, subprocess.SubprocessError) as error:
        notes.append(f"squeue does not answer ({type(error).__name__}): which runs are at work is not known")
        return Outlook({}, notes)
    states: dict[str, str] = {}
    for submission in waited:
        for number, cohorts in enumerate(submission.cohorts):
            if (job := queued.get((submission.job, number))) is None:
                continue
            of_job = states_of(cohorts, left, job, submission.at_once)
            # A run may be in two submissions: that it is running anywhere outweighs that it waits elsewhere.
            states = {**of_job, **{run_id: s for run_id, s in states.items() if of_job.get(run_id) != "running"}}
            running = sum(state == "running" for state in of_job.values())
            where = f" on {job.node}" if job.node else ""
            notes.append(
                f"job {submission.job}_{number} {job.state}{where}: {running} running, {len(of_job) - running} queued"
            )
    return Outlook(states, notes)


def states_of(cohorts: list[list[str]], left: set[str], job: Job, at_once: int) -> dict[str, str]:
    """The states of a job's runs that have no record. A job trains its cohorts in order: its first unfinished ones run."""
    unfinished = [rest for cohort in cohorts if (rest := [run_id for run_id in cohort if run_id in left])]
    training = at_once if job.state == "RUNNING" else 0
    return {
        run_id: "running" if position < training else "queued"
        for position, cohort in enumerate(unfinished)
        for run_id in cohort
    }


def minutes(text: str) -> int:
    """Read a walltime (`30`, `30:00`, `1:30:00`, `2-12`, `2-12:00`, `2-12:00:00`) as minutes, rounded up. Raises UserError."""
    match = _WALLTIME.fullmatch(text.strip())
    if match is None:
        raise UserError(f"--time {text!r}: give minutes, HH:MM:SS or D-HH:MM:SS, e.g. 1:30:00")
    numbers = [int(number) for number in match["numbers"].split(":")]
    # What a number means depends on how many there are: after days come hours, without days minutes come first.
    if match["days"] is not None:
        hours, mins, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, mins, seconds = numbers
    else:
        (mins, seconds), hours = [*numbers, 0][:2], 0
    total = int(match["days"] or 0) * 1440 + hours * 60 + mins + -(-seconds // 60)
    if total < 1:
        raise UserError(f"--time {text!r} is no time at all: give at least a minute")
    return total
