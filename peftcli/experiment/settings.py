"""How a run trains: every setting with its type and legal range. Values come from a protocol, a recipe or `defaults.yaml`."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from peftcli.experiment import templates
from peftcli.models.heads import Style

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
LearningRate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
# Generators take 64 bits with a sign.
Seed = Annotated[int, Field(ge=0, lt=2**63)]
# A count and its unit; whether it is more than 0, and whole where it counts steps, is checked below.
Interval = Annotated[str, Field(pattern=r"^[0-9]*\.?[0-9]+ (steps?|epochs?)$")]


class Training(BaseModel):
    """The settings of one run's training; part of the run's identity, but for those `WITHOUT_EFFECT`.

    A setting has no default here: what neither the recipe nor its protocol says comes from `defaults.yaml`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    optimizer: Literal["adam", "adamw"] = Field(description="Adam, or Adam with decoupled weight decay.")
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = Field(
        description="How much of the running means of the gradient and of its square Adam keeps at each update."
    )
    epsilon: Positive = Field(description="What Adam adds to the root of the squared gradient's mean.")
    weight_decay: Amount = Field(description="The strength of weight decay.")
    weight_decay_spares: Literal["nothing", "biases and layernorms"] = Field(
        description="What weight decay leaves alone."
    )
    max_grad_norm: Positive | None = Field(
        description="The norm to which a longer gradient is scaled down; null: never."
    )
    schedule: Literal["constant", "linear", "cosine"] = Field(
        description="What the learning rate does after the warm-up: stay, or fall to zero on a straight line or half a cosine."
    )
    warmup_ratio: Share = Field(description="The fraction of the steps in which the learning rate rises from zero.")
    schedule_epochs: Positive | None = Field(
        description="The epochs after which the schedule reaches zero, where that is not the end of the run."
    )
    epochs: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        description="How many times the training set is gone through; may be a fraction."
    )
    steps: Count | None = Field(description="The number of updates, instead of epochs.")
    minimum_steps: Count | None = Field(description="Train on past the epochs until there were so many updates.")
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = Field(description="Examples in one update.")
    accumulate: Count = Field(
        description="In how many parts a batch is computed, one after another, where all of it takes too much memory; their "
        "gradients are summed, in another order than those of a whole batch."
    )
    max_length: Annotated[int, Field(ge=4, le=1_000_000)] = Field(description="The longest sequence, in word pieces.")
    overlong: Literal["truncate", "drop"] = Field(
        description="What happens to a longer example: cut it, or leave it out."
    )
    template: str | None = Field(
        description='What joins two texts to one sequence, such as "{first}\\n{second}", which is also what null is for '
        "decoders; for encoders null is the tokenizer's own pair of texts. Tasks of one text do without."
    )
    read_word: Literal["first", "last"] | None = Field(
        description="Which word piece of a word is labelled in token tasks; null: the first for encoders, for decoders the "
        "last, which alone has seen the whole word."
    )
    evaluate_every: Interval = Field(
        description='How often to evaluate, such as "1 epoch", "0.1 epochs" or "500 steps".'
    )
    evaluate_train: Literal["end"] | None = Field(
        description="When what a run trains on is evaluated too: at its end, with the weights that are tested; null: never."
    )
    early_stopping: Count | None = Field(
        description="Stop after so many evaluations without a gain; needs restore_best."
    )
    restore_best: bool = Field(description="Go back to the weights of the best evaluation at the end.")
    ties: Literal["first", "last"] = Field(
        description="Which of several equally good evaluations is the best one, where the best is gone back to."
    )
    metric: str | None = Field(
        description="The metric that chooses the best evaluation and learning rate; null: the task's first."
    )
    validation_share: Share = Field(
        description="The fraction of the training set held out for choosing; the development set is then the test set."
    )
    validation_split: Literal["per seed", "fixed", "authors"] = Field(
        description="Whether each seed holds out a part of its own, all the same, or the very rows of the effectiveness "
        "paper's authors, whatever the share; the training set is then cut without them."
    )
    validation_limit: Count | None = Field(description="Choose by the first so many held-out examples only.")
    # The training set is cut in this order: max_train_samples, drop_examples, train_size, then what is held out.
    train_size: Count | None = Field(
        description="Cut the training set to so many examples at random, before any are held out."
    )
    drop_examples: Share = Field(description="The fraction of the training set to leave out at random, by seed.")
    max_train_samples: Count | None = Field(description="Train on the first so many examples only.")
    dropout: Share | None = Field(description="The probability of dropout, everywhere; null: the model's own.")
    dropout_until: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        description="The fraction of each epoch in which dropout is on."
    )
    head: Style = Field(
        description="The classifier: the architecture's own, one linear layer, or a dense layer over the pooled output."
    )
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float64"] = Field(
        description="What the model computes in, trained values aside; auto: bfloat16 on a GPU that has it, else float32."
    )
    compile: bool = Field(
        description="Whether torch.compile makes kernels for the network: fewer on a GPU, and sums in another order."
    )

    @field_validator("template")
    @classmethod
    def _is_template(cls, template: str | None) -> str | None:
        if template is not None:
            templates.parse(template)
        return template

    checkpoint_activations: bool = Field(
        description="Whether each layer's activations are computed again in the backward pass instead of being kept: less "
        "memory, about a third more time, and the same bits."
    )

    # What the type of no single setting can say.
    @model_validator(mode="after")
    def _agree(self) -> "Training":
        if self.early_stopping and not self.restore_best:
            raise ValueError("early_stopping needs restore_best: true")
        if self.compile and self.checkpoint_activations:
            raise ValueError("compile: true: not with checkpoint_activations: true; legal: false")
        if self.validation_split == "authors" and not self.validation_share:
            raise ValueError("validation_split authors needs a validation_share above 0")
        if float(self.evaluate_every.split()[0]) <= 0:
            raise ValueError(f"evaluate_every: {self.evaluate_every!r} must be more than 0")
        if self.evaluate_every.split()[1].startswith("step") and not re.match(r"^[0-9]+ ", self.evaluate_every):
            raise ValueError(f"evaluate_every: {self.evaluate_every!r} must be a whole number of steps")
        return self


# The legal keys of `training:`, as errors list them.
NAMES = tuple(Training.model_fields)
# What changes how a run is computed, and no bit of it: no part of the run.
WITHOUT_EFFECT = frozenset({"checkpoint_activations"})
# The settings that hold one fraction or amount.
FLOATS = frozenset(n for n, f in Training.model_fields.items() if "float" in str(f.annotation) and n != "betas")
