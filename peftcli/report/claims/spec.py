"""The words in which a recipe states a paper's conclusions, so that they can be checked. A small set of kinds.

A claim is a sentence, where it stands, and checks that must all hold. Strategies are named as on the command line
(`layernorm`, `spafit:groups=4-9,variant=II`, `bitfit:learning_rate=1e-3`); a name that fits several rows means the best
of them in the column at hand, or every one where `take: every` says so. Columns are named as in the table (`cola`,
`mnli_matched`, `conll2003.f1_macro`, `cola:train_size=1000`, `average`); none named means every column but the average.
`measure: std` compares standard deviations, and there lower is better. Numbers are compared as the table prints them.

The kinds themselves are in `comparing`, `counting` and `testing`: each a model of its options beside its judge.
"""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment.recipe import Recipe
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.verdicts import Finding

# In a recipe one name may stand where a list of names may: `strategies: layernorm`.
ONE_OR_SEVERAL = BeforeValidator(
    lambda names: [names] if isinstance(names, str) else names, json_schema_input_type=str | list[str]
)
Strategies = Annotated[list[str], Field(min_length=1), ONE_OR_SEVERAL]
Columns = Annotated[list[str], Field(min_length=1), ONE_OR_SEVERAL]
Count = Annotated[int, Field(ge=1)]
Level = Annotated[float, Field(gt=0, lt=1)]  # of significance
Take = Literal["best", "every", "any"]

# What options of several kinds say of themselves.
TAKE = "Which rows a name stands for: the best row of each name, every row, or the best row of all names together."
MEASURE = "What is compared: means, or standard deviations, where lower is better."
LEVEL = "The p-value below which a test counts as significant."


class Check(BaseModel):
    """What every kind of check has.

    `NAMING` are the options that name strategies, whose copied cells are reported; `VARYING` those that name options
    (or settings) of these strategies, in which rows differ or agree.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    NAMING: ClassVar[tuple[str, ...]] = ("strategies", "strategy", "than", "among", "of", "times")
    VARYING: ClassVar[tuple[str, ...]] = ("option", "match")
    on: Columns | None = Field(None, description="The columns it is about; every one but the average by default.")

    def files_of_points(self) -> dict[str, tuple[str, ...]]:
        """The files with a figure's points that the check reads beside the recipe, each with its columns."""
        return {}

    def strategy_names(self) -> list[str]:
        """The strategies that the check names, option by option."""
        return self._names(self.NAMING)

    def option_names(self) -> list[str]:
        """The options of those strategies that the check names."""
        return self._names(self.VARYING)

    def _names(self, fields: tuple[str, ...]) -> list[str]:
        values = [getattr(self, field, None) or () for field in fields]
        return [name for value in values for name in ([value] if isinstance(value, str) else value)]


Judge = Callable[[Any, Evidence], Finding]


@dataclass(frozen=True)
class Kind:
    """A kind of check: the model of its options, and the function that judges one on the evidence."""

    options: type[Check]
    judge: Judge


KINDS: dict[str, Kind] = {}  # by the word in a recipe, in the order in which messages list them


def judges(*kinds: type[Check]) -> Callable[[Judge], Judge]:
    """Register a function as the judge of these kinds, each under the word that its `kind` must be."""

    def register(judge: Judge) -> Judge:
        """The same function, registered."""
        for options in kinds:
            # `kind: Literal["better"]`: the model says its word once.
            (word,) = get_args(options.model_fields["kind"].annotation)
            KINDS[word] = Kind(options, judge)
        return judge

    return register


class Claim(BaseModel):
    """A paper's conclusion: the sentence, the table or figure it stands in, and the checks that must all hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    claim: str = Field(description="The conclusion in a sentence.")
    where: str = Field(
        "", description="The table, figure or section of the paper that it stands in, where it is a paper's."
    )
    checks: list[Any] = Field(min_length=1, description="What must hold of the numbers, all of it.")
    tables: list[str] = Field([], description="Further recipes beside this one whose cells count too: `table1.yaml`.")


def claim_model() -> type[Claim]:
    """Return the model of a claim whose checks are of the kinds registered by now."""
    return _claim_model(tuple(kind.options for kind in KINDS.values()))


@functools.cache  # pydantic takes a while to put a model together
def _claim_model(kinds: tuple[type[Check], ...]) -> type[Claim]:
    check: Any = Annotated[functools.reduce(operator.or_, kinds), Field(discriminator="kind")]
    return create_model("Claim", __base__=Claim, checks=(list[check], Claim.model_fields["checks"]))


def read(recipe: Recipe) -> list[Claim]:
    """Read a recipe's `claims:`. Raises UserError for an unknown kind, key or value."""
    return [parse(entry, f"recipe {recipe.path.name}: claim {number}") for number, entry in enumerate(recipe.claims, 1)]


def parse(entry: dict[str, Any], where: str) -> Claim:
    """Check one entry of a recipe's `claims:`; `where` leads the message. Raises UserError as `read` does."""
    # An unknown kind is told before anything else: pydantic would list every model's complaints.
    checks = entry.get("checks")
    for check in checks if isinstance(checks, list) else []:
        kind = str(check.get("kind")) if isinstance(check, dict) else ""
        if kind not in KINDS:
            raise UserError(f"{where}: {unknown('kind of check', kind, KINDS)}")
    try:
        return claim_model().model_validate(entry)
    except ValidationError as error:
        raise first_error(error, where, "key", _legal_keys(entry, error)) from None


def _legal_keys(entry: dict[str, Any], error: ValidationError) -> list[str]:
    """The legal keys where the first finding is: the claim's, or those of a check's kind."""
    path = error.errors(include_url=False)[0]["loc"]  # ("checks", 0, "better", "take") in a check
    if len(path) > 2 and path[0] == "checks" and isinstance(path[1], int):
        fields = KINDS[entry["checks"][path[1]]["kind"]].options.model_fields
        return [field.alias or name for name, field in fields.items()]
    return list(Claim.model_fields)
