"""How a run trains: every setting with its type and legal range. Values come from a protocol, a recipe or `defaults.yaml`."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from peftcli.models.heads import Style

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Interval = Annotated[str, Field(pattern=r"^[0-9]*\.?[0-9]+ (steps?|epochs?)$")]


class Training(BaseModel):
    """The settings of one run's training; part of the run's identity. Shares are fractions, lengths word pieces."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    optimizer: Literal["adam", "adamw"]
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)]
    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    weight_decay: Amount
    weight_decay_spares: Literal["nothing", "biases and layernorms"]
    max_grad_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    schedule: Literal["constant", "linear"]
    warmup_ratio: Share
    schedule_epochs: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    epochs: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
    steps: Count | None
    minimum_steps: Count | None
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    max_length: Annotated[int, Field(ge=4, le=1_000_000)]
    overlong: Literal["truncate", "drop"]
    evaluate_every: Interval
    early_stopping: Count | None
    restore_best: bool
    metric: str | None
    validation_share: Share
    validation_split: Literal["per seed", "fixed"]
    validation_limit: Count | None
    train_size: Count | None
    drop_examples: Share
    max_train_samples: Count | None
    dropout: Share | None
    dropout_until: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    head: Style
    precision: Literal["auto", "float32", "bfloat16", "float64"]

    @model_validator(mode="after")
    def _agree(self) -> "Training":
        if self.early_stopping and not self.restore_best:
            raise ValueError("early_stopping needs restore_best: true")
        if float(self.evaluate_every.split()[0]) <= 0:
            raise ValueError(f"evaluate_every: {self.evaluate_every!r} must be more than 0")
        if self.evaluate_every.split()[1].startswith("step") and not re.match(r"^[0-9]+ ", self.evaluate_every):
            raise ValueError(f"evaluate_every: {self.evaluate_every!r} must be a whole number of steps")
        return self


NAMES = tuple(Training.model_fields)
