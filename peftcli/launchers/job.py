"""One job of a cluster: `python -m peftcli.launchers.job ASSIGNMENT`. Run again after a requeue, it trains what is left."""

import sys
from dataclasses import replace
from pathlib import Path

from peftcli import stopping
from peftcli.errors import UserError
from peftcli.runner import grouping, work


def main() -> None:
    """Train an assignment; exits with 0, 1 (one of its processes died), 2 (bad input) or 75 (stopped, progress saved)."""
    # Signals are caught before torch is imported, which takes seconds in which the cluster may already preempt the job.
    stopping.install()
    try:
        sys.exit(_train(Path(sys.argv[1])))
    except UserError as error:
        print(f"peftcli: {error}", file=sys.stderr)
        sys.exit(2)


def _train(file: Path) -> int:
    from peftcli.launchers import accelerate, assignments, launch

    assignment = assignments.decode(file)
    unit, settings = assignment.unit, assignment.settings
    # The file says what was wanted when the job was submitted; since then it may have been started before.
    wanted = work.missing(unit.runs, settings, assignment.retry_failed)
    print(f"{len(wanted)} of {len(unit.runs)} runs to train", file=sys.stderr, flush=True)
    unit = replace(unit, wanted=wanted)
    # Memory may have run out since the cohorts were made: what that pinned holds for a job that starts again.
    unit = grouping.settle(unit, settings)
    if assignment.processes == 1:
        launch.train_here(unit, settings)
        return 0
    accelerate.check(assignment.processes, assignment.per_cohort, settings.device)
    lines = accelerate.run(unit, settings, assignment.processes, assignment.per_cohort)
    print("\n".join(lines), file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    main()
