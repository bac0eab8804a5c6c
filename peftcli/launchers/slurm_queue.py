"""What a cluster's queue says of the jobs submitted for a results folder: which runs are at work, which wait. No torch."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER, FILE = ".slurm", "submission.json"
PATIENCE = 30.0  # seconds for squeue to answer


@dataclass(frozen=True)
class Submission:
    """One array of jobs: SLURM's number of it, who submitted it, and by job the ids of each cohort's wanted runs.

    A job trains `at_once` cohorts at a time.
    """

    folder: Path
    job: str
    user: str
    at_once: int
    shares: list[list[list[str]]]

    def document(self) -> dict[str, Any]:
        """Give what is written down of it."""
        return {"job": self.job, "user": self.user, "at_once": self.at_once, "shares": self.shares}

    def log(self, number: int) -> Path:
        """The file that a job's messages go to."""
        return self.folder / f"{self.job}_{number}_0_log.err"


@dataclass(frozen=True)
class Job:
    """One job of an array as squeue shows it."""

    state: str
    node: str


def submissions(output: Path) -> tuple[list[Submission], list[Path]]:
    """Read every submission made for a results folder, and name the files that are none."""
    sound, damaged = [], []
    for file in sorted((output / FOLDER).glob(f"*/{FILE}")):
        try:
            found = json.loads(file.read_text())
            shares = [[[str(own) for own in cohort] for cohort in share] for share in found["shares"]]
            sound.append(Submission(file.parent, str(found["job"]), str(found["user"]), int(found["at_once"]), shares))
        except (OSError, ValueError, KeyError, TypeError):
            damaged.append(file)
    return sound, damaged


def jobs(of: Sequence[Submission]) -> dict[tuple[str, int], Job]:
    """Ask squeue for the jobs of submissions that are queued or at work, by array and number.

    Raises OSError or subprocess.SubprocessError where it does not answer.
    """
    users = ",".join(sorted({submission.user for submission in of}))
    command = ["squeue", "--array", "--noheader", "--user", users, "--format", "%F|%K|%T|%N"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    numbers = {submission.job for submission in of}
    found = {}
    for line in done.stdout.splitlines():
        array, number, state, node = line.split("|")
        if array in numbers and number.isdigit():
            found[array, int(number)] = Job(state, node)
    return found


@dataclass(frozen=True)
class Outlook:
    """Which runs of a results folder are at work or waiting in a queue, by id, and what there is to say of it."""

    states: Mapping[str, str]
    notes: list[str]


def outlook(output: Path, missing: Iterable[str]) -> Outlook:
    """Say of runs without a record which are `running` and which `queued`: a share is trained in its order."""
    known, damaged = submissions(output)
    notes = [f"{file}: damaged, skipped" for file in damaged]
    left = set(missing)
    waited = [s for s in known if any(own in left for share in s.shares for cohort in share for own in cohort)]
    if not waited:
        return Outlook({}, notes)
    if shutil.which("squeue") is None:
        return Outlook(
            {}, [*notes, "squeue is not on this machine: which of the submitted runs are at work is not known"]
        )
    try:
        found = jobs(waited)
    except (OSError, subprocess.SubprocessError) as error:
        return Outlook(
            {}, [*notes, f"squeue does not answer ({type(error).__name__}): which runs are at work is not known"]
        )
    states: dict[str, str] = {}
    for submission in waited:
        for number, share in enumerate(submission.shares):
            job = found.get((submission.job, number))
            if job is not None:
                own = states_of(share, left, job, submission.at_once)
                states = {**own, **{k: v for k, v in states.items() if own.get(k) != "running"}}
                notes.append(_note(submission, number, job, own))
    return Outlook(states, notes)


def states_of(share: list[list[str]], left: set[str], job: Job, at_once: int) -> dict[str, str]:
    """The states of a job's runs that have no record: of a job at work the first cohorts are running."""
    cohorts = [[own for own in cohort if own in left] for cohort in share]
    waiting = [cohort for cohort in cohorts if cohort]
    working = at_once if job.state == "RUNNING" else 0
    return {own: "running" if place < working else "queued" for place, cohort in enumerate(waiting) for own in cohort}


def _note(submission: Submission, number: int, job: Job, states: Mapping[str, str]) -> str:
    running = sum(state == "running" for state in states.values())
    where = f" on {job.node}" if job.node else ""
    return f"job {submission.job}_{number} {job.state}{where}: {running} running, {len(states) - running} queued"
