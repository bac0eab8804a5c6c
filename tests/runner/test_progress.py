"""What a process reports of its work: its cohort in training, and the runs that have ended."""

from types import SimpleNamespace

import pytest

from peftcli.launchers import assignments
from peftcli.runner import progress
from peftcli.runner.display import Status
from peftcli.runner.work import WorkUnit
from tests import written_records


def trained(step: int, total: int, *losses: float) -> tuple[SimpleNamespace, SimpleNamespace]:
    """A cohort and its state after a step."""
    histories = [SimpleNamespace(training=[{"loss": loss}]) for loss in losses]
    return SimpleNamespace(total=total), SimpleNamespace(step=step, histories=histories)


def test_a_process_tells_its_cohort_and_counts_what_ended(clock):
    told = []
    runs = written_records.runs(written_records.small())[:4]
    costs = {run.id: cost for run, cost in zip(runs, (3.0, 3.0, 6.0, 2.0), strict=True)}
    unit = WorkUnit((tuple(runs[:2]), (runs[2],), (runs[3],)), frozenset(run.id for run in runs[:3]))
    own = progress.start(unit, lambda cohort: sum(costs[run.id] for run in cohort), told.append, 1.0)
    own.begin(runs[:2])
    assert told.pop() == Status(f"{runs[0].describe()} and 1 more", runs=3, left=12.0)
    for step in range(1, 11):
        clock.now += 0.5
        own.watch(*trained(step, 20, 0.5, 0.25))
    assert [found.step for found in told] == [2, 4, 6, 8, 10]
    last = told.pop()
    assert (last.steps, last.losses, last.rate, last.seconds) == (20, (0.25, 0.5), 2.0, 5.0)
    assert (last.worked, last.left) == (3.0, 9.0)
    own.end(["completed", "diverged"])
    assert told[-1] == Status("", runs=3, done=1, failed=1, worked=3.0, left=6.0, seconds=5.0)
    own.begin((runs[2],))
    own.watch(*trained(16, 20, 0.5))  # gone on with from a checkpoint: only its last quarter is done here
    clock.now += 1
    own.watch(*trained(20, 20, 0.5))
    assert (told[-1].worked, told[-1].left) == (3.0 + 6.0 * 5 / 20, 0.0)


def test_the_work_of_a_unit_is_that_of_its_cohorts(tmp_path):
    changes = {"strategies": ["layernorm", "bitfit"], "seeds": [0], "learning_rates": [1e-3]}
    runs = written_records.runs(written_records.small(**changes))
    unit = WorkUnit((tuple(runs),), frozenset(run.id for run in runs))
    following = progress.start(unit, lambda cohort: assignments.cost("minilm", tuple(cohort)), lambda told: None, 1.0)
    assert following.status.left == pytest.approx(sum(assignments.cost("minilm", (run,)) for run in runs))
    assert following.status.left > 0
