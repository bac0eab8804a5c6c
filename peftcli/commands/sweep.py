"""What `peftcli sweep` does: plans a recipe, trains what is missing, and says what did not end well."""

import sys
from pathlib import Path

from peftcli import plan, records
from peftcli.recipe import find, load, parse_set
from peftcli.runs import Run


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
) -> int:
    """Run a recipe's missing runs in this process; gives the exit code: 1 where a run failed or diverged."""
    recipe = load(find(name), parse_set(overrides))
    planned = plan.expand(recipe)
    chosen = plan.select(planned, only)
    from peftcli import sweep
    from peftcli.execution import Place
    from peftcli.progress import Progress

    place = Place(recipe.model, output, data_dir, allow_other_data, keep_predictions)
    groups = sweep.cohorts([p.run for p in planned], place, cohort)
    asked = {p.run.id for p in chosen}
    wanted = sweep.missing([run for group in groups for run in group], place, retry_failed) & asked
    print(f"{recipe.title}: {len(chosen)} runs, {len(chosen) - len(wanted)} recorded already", file=sys.stderr)
    with Progress(len(wanted)) as progress:
        sweep.train(sweep.Share(tuple(groups), wanted), place, progress)
    return _end([p.run for p in chosen], output)


def _end(runs: list[Run], output: Path) -> int:
    """Name every run that did not complete; gives the exit code."""
    bad = []
    for run in runs:
        record = records.find(output, run)
        if record is not None and record.status != "completed":
            bad.append(f"{record.status}: {run.describe()}: {record.body['error']} ({record.path})")
    print("\n".join([*bad, f"{len(runs) - len(bad)} of {len(runs)} runs completed"]), file=sys.stderr)
    return 1 if bad else 0
