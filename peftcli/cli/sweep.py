"""What `peftcli sweep` does: plans a recipe, trains what is missing, and says what did not end well."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli import records
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import plan
from peftcli.experiment.recipe import find, load, parse_set
from peftcli.experiment.run import Run
from peftcli.preflight import availability as readiness
from peftcli.runner import tracking, work
from peftcli.tasks import own_data

if TYPE_CHECKING:
    from peftcli.launchers.launch import Launch


def run(
    name: str,
    output: Path,
    data_dir: Path | None,
    cohort: int | None,
    overrides: list[str],
    only: list[str],
    *,
    retry_failed: bool,
    allow_other_data: bool,
    keep_predictions: bool,
    save_delta: bool,
    track: str | None,
    launch: "Launch",
) -> int:
    """Run a recipe's missing runs by a launcher; gives the exit code: 1 where a run did not complete."""
    tracking.check(track)
    recipe = load(find(name), parse_set(overrides))
    planned = plan.expand(recipe)
    chosen = plan.select(planned, only)
    readiness.check(recipe.model, [p.run for p in chosen], data_dir, allow_other_data)
    from peftcli.runner.work import SweepSettings

    described = own_data.folders(recipe.path, [(name, entry.options) for name, entry in recipe.tasks])
    settings = SweepSettings(
        recipe.model, output, data_dir, allow_other_data, keep_predictions, save_delta, own_data=described, track=track
    )
    groups = work.cohorts([p.run for p in planned], settings, cohort)
    asked = {p.run.id for p in chosen}
    wanted = work.missing([run for group in groups for run in group], settings, retry_failed) & asked
    recorded = len(chosen) - len(wanted)
    more = " (no deltas are written of those)" if save_delta and recorded else ""
    print(f"{recipe.title}: {len(chosen)} runs, {recorded} recorded already{more}", file=sys.stderr)
    pinned = sizing.sweep_id([p.run for p in planned]) if cohort is None else None
    lines = launch(work.WorkUnit(tuple(groups), wanted, pinned), settings, retry_failed)
    if lines is None:
        return 0
    print("\n".join(lines), file=sys.stderr, end="\n" if lines else "")
    return _end([p.run for p in chosen], output)


def _end(runs: list[Run], output: Path) -> int:
    """Name every run that did not complete; gives the exit code."""
    bad = []
    for run in runs:
        record = records.find(output, run)
        if record is None:
            bad.append(f"missing: {run.describe()}")
        elif record.status != "completed":
            bad.append(f"{record.status}: {run.describe()}: {record.body['error']} ({record.path})")
    print("\n".join([*bad, f"{len(runs) - len(bad)} of {len(runs)} runs completed"]), file=sys.stderr)
    return 1 if bad else 0
