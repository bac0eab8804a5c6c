"""What `peftcli plan` shows: runs by state, cohorts, trainable parameters, and every setting with its origin. No torch."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from peftcli import records
from peftcli.experiment import cohort_size as sizing
from peftcli.experiment import plan
from peftcli.experiment.recipe import Recipe, find, load, parse_set
from peftcli.launchers import slurm_queue as queue
from peftcli.report import parameters as parameter_rows

LEFT = ("running", "queued", "missing")  # the first two: in a cluster's queue
STATES = ("completed", "diverged", "failed", "damaged", *LEFT)


def show(name: str, output: Path, overrides: list[str], cohort: int | None, as_json: bool) -> str:
    """Describe a recipe's plan as text or JSON. Raises UserError."""
    recipe = load(find(name), parse_set(overrides))
    found = describe(recipe, output, cohort)
    return json.dumps(found, indent=1) if as_json else _text(found)


def describe(recipe: Recipe, output: Path, cohort: int | None) -> dict[str, Any]:
    """Give a recipe's plan as plain values. Raises UserError."""
    planned = plan.expand(recipe)
    runs = [p.run for p in planned]
    states = records.states(runs, output)
    outlook = queue.outlook(output, [run for run, state in states.items() if state == "missing"])
    states |= outlook.states
    size = sizing.choose(output, runs, cohort, on_gpu=False)
    return {
        "title": recipe.title,
        "model": recipe.model,
        "runs": len(runs),
        "states": {state: Counter(states.values())[state] for state in STATES},
        "cohorts": len(plan.cohorts(runs, size)),
        "cohort_size": size,
        "strategies": parameter_rows.rows(recipe),
        "notes": recipe.notes,
        "jobs": outlook.notes,
        "plan": [
            {
                "id": p.run.id,
                "state": states[p.run.id],
                "describe": p.run.describe(),
                "run": p.run.model_dump(),
                "origins": p.origins,
            }
            for p in planned
        ],
    }


def _text(found: dict[str, Any]) -> str:
    states = ", ".join(f"{count} {state}" for state, count in found["states"].items() if count)
    lines = [
        found["title"],
        f"model {found['model']}; {found['runs']} runs: {states}",
        f"{found['cohorts']} cohorts of at most {found['cohort_size']} runs",
        *found["jobs"],
        "",
        f"{'strategy':<44}{'trainable':>14}{'percent':>12}{'runs left':>12}",
    ]
    left = Counter(str((p["run"]["strategy"], p["run"]["options"])) for p in found["plan"] if p["state"] in LEFT)
    for row in found["strategies"]:
        count = left[str((row["strategy"], row["options"]))]
        percent = f"{row['trainable_percent']:.4f} %"
        lines.append(f"{row['label'][:43]:<44}{row['trainable']:>14,}{percent:>12}{count:>12}")
    return "\n".join([*lines, *(f"\n{note}" for note in found["notes"])])
