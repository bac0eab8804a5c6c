"""One job of a cluster: `python -m peftcli.launchers.job ASSIGNMENT`. Run again after a requeue, it trains what is left."""

import sys
from dataclasses import replace
from pathlib import Path

from peftcli import stopping
from peftcli.errors import UserError
from peftcli.runner import work


def main() -> None:
    """Train an assignment; exits with 0, 1 (a process of it died), 2 (bad input) or 75 (stopped, progress saved)."""
    stopping.install()
    try:
        sys.exit(_work(Path(sys.argv[1])))
    except UserError as error:
        print(f"peftcli: {error}", file=sys.stderr)
        sys.exit(2)


def _work(file: Path) -> int:
    from peftcli.launchers import accelerate, assignments, local

    own = assignments.decode(file)
    runs = own.unit.runs
    wanted = work.missing(runs, own.settings, own.retry_failed)
    unit = replace(own.unit, wanted=wanted)
    print(f"{len(wanted)} of {len(runs)} runs to train", file=sys.stderr, flush=True)
    if own.processes == 1:
        local.run(unit, own.settings)
        return 0
    lines = accelerate.run(unit, own.settings, own.processes, own.each)
    print("\n".join(lines), file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    main()
