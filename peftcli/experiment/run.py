"""A run: one frozen, JSON-able value with everything that changes the number and nothing that does not, and its id."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from peftcli.experiment.settings import LearningRate, Seed, Training
from peftcli.tasks import own_data
from peftcli.tasks.registry import Task


class Run(BaseModel):
    """One training run. `model` is a name, never a path; `task` a task's name; `options` the strategy's, all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str
    task: str
    strategy: str
    options: dict[str, Any]
    learning_rate: LearningRate
    seed: Seed
    protocol: Training
    data: dict[str, Any] | None = None  # the description of a task of the user's own

    @property
    def id(self) -> str:
        """A short hash of the canonical form."""
        return hashlib.sha256(canonical(self.canonical_fields())).hexdigest()[:16]

    def canonical_fields(self) -> dict[str, Any]:
        """What the id is made from: fields at their value in `schema.json` are left out.

        So a field added later, at the value that means what was done before, changes no id, and a default changed
        later changes the id of the runs it changes.
        """
        frozen = _schema()
        whole = self.model_dump(exclude_none=True)
        whole["protocol"] = _without(self.protocol.model_dump(), frozen["training"])
        whole["options"] = _without(self.options, frozen["options"].get(self.strategy, {}))
        return {"schema": frozen["schema"], **whole}

    def cohort_key(self) -> str:
        """What runs of one cohort have in common: everything but learning rate and seed."""
        shared = {key: value for key, value in self.canonical_fields().items() if key not in ("learning_rate", "seed")}
        return canonical(shared).decode()

    def describe(self) -> str:
        """One line for a person: task, strategy with the options that were set, learning rate, seed."""
        options = ",".join(f"{key}={_short(value)}" for key, value in self.canonical_fields()["options"].items())
        strategy = f"{self.strategy}:{options}" if options else self.strategy
        return f"{self.task} {strategy} lr={self.learning_rate:g} seed={self.seed}"


def canonical(document: Any) -> bytes:
    """Write plain values as JSON in one way only: sorted keys, no spaces, shortest floats, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _without(given: dict[str, Any], frozen: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in frozen or value != frozen[key]}


def _short(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)


@cache
def _schema() -> dict[str, Any]:
    text = (Path(__file__).parent / "schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def task_of(run: Run) -> Task:
    """Give a run's task: a row of `tasks`, or the one that the run itself describes. Raises UserError."""
    return own_data.task(run.task, run.data)
