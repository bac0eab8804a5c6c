"""A run: one frozen, JSON-able value with everything that changes the number and nothing that does not, and its id."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, model_validator

from peftcli.experiment.settings import WITHOUT_EFFECT, LearningRate, Seed, Training
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

    # A run that was recorded before a setting or option existed did what the schema's value of it means.
    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, run: Any) -> Any:
        if not isinstance(run, dict):
            return run
        frozen = _schema()
        filled = dict(run)
        if isinstance(run.get("protocol"), dict):
            filled["protocol"] = {**frozen["training"], **run["protocol"]}
        if isinstance(run.get("options"), dict):
            earlier = frozen["options"].get(run.get("strategy"), {})
            filled["options"] = run["options"] | {k: v for k, v in earlier.items() if k not in run["options"]}
        return filled

    @cached_property
    def id(self) -> str:
        """A short hash of the canonical form."""
        # 64 bits: among a million runs, two that differ share an id with a chance of 3e-8. `find` compares the fields too.
        return hashlib.sha256(canonical(self.canonical_fields)).hexdigest()[:16]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same run with some fields changed, and so an id of its own."""
        copy = super().model_copy(update=update, deep=deep)
        for worked_out in ("id", "canonical_fields"):  # pydantic copies what was worked out before, too
            vars(copy).pop(worked_out, None)
        return copy

    @cached_property  # a plan asks for it several times a run, and would spend a third of its time on it
    def canonical_fields(self) -> dict[str, Any]:
        """What the id is made from: the run without the fields that have their value of `schema.json`.

        So a field added later, at the value that means what was done before, changes no id, and a default changed
        later changes the id of the runs it changes.
        """
        frozen = _schema()
        # `data` is None for a task of the registry, and must not be in its id.
        whole = self.model_dump(exclude={"protocol"}, exclude_none=True)
        whole["protocol"] = self._changed_settings()
        whole["options"] = _without(self.options, frozen["options"].get(self.strategy, {}))
        return {"schema": frozen["schema"], **whole}

    def _changed_settings(self) -> dict[str, Any]:
        """The training settings that the id is made from."""
        changed = _without(self.protocol.model_dump(exclude={*WITHOUT_EFFECT}), _schema()["training"])
        # Which of equal evaluations is the best one changes the weights that are kept, and nothing where none are gone back to.
        if not self.protocol.restore_best:
            changed.pop("ties", None)
        # So that a recipe may say for all its tasks how texts are joined, or words read, without a second run of the others.
        if "template" in changed and not task_of(self).joins_texts:
            del changed["template"]
        if "read_word" in changed and task_of(self).kind != "token":
            del changed["read_word"]
        return changed

    def cohort_key(self) -> str:
        """What the runs of one cohort have in common, as text: everything but learning rate and seed."""
        shared = {key: value for key, value in self.canonical_fields.items() if key not in ("learning_rate", "seed")}
        return canonical(shared).decode()

    @property
    def variant(self) -> str:
        """The strategy with the options that were set, as on the command line: `lora:rank=4`."""
        chosen = self.canonical_fields["options"].items()
        # Lists as on the command line: layers=1+2+3.
        options = ",".join(f"{k}={'+'.join(map(str, v)) if isinstance(v, list) else v}" for k, v in chosen)
        return f"{self.strategy}:{options}" if options else self.strategy

    def describe(self) -> str:
        """One line for a person: task, strategy with the options that were set, learning rate, seed."""
        return f"{self.task} {self.variant} lr={self.learning_rate:g} seed={self.seed}"


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(document: Any) -> bytes:
    """Write plain values as JSON in one way only: sorted keys, no spaces, shortest floats, no NaN."""
    return _ENCODER.encode(document).encode()


def _without(fields: dict[str, Any], frozen: dict[str, Any]) -> dict[str, Any]:
    """Leave out the fields that have their frozen value."""
    return {key: value for key, value in fields.items() if key not in frozen or value != frozen[key]}


@cache
def _schema() -> dict[str, Any]:
    """The values that mean "as when this schema was frozen"; they stay even where a default changes later."""
    text = (Path(__file__).parent / "schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def task_of(run: Run) -> Task:
    """A run's task: a row of `tasks`, or the one that the run itself describes. Raises UserError."""
    return own_data.task(run.task, run.data)
