"""The words in which a recipe states a paper's conclusions, so that they can be checked. A small fixed set of kinds.

A claim is a sentence, where it stands, and checks that must all hold. Strategies are named as on the command line
(`layernorm`, `spafit:groups=4-9,variant=II`, `bitfit:learning_rate=1e-3`); a name that fits several rows means the best
of them in the column at hand, or every one where `take: every` says so. Columns are named as in the table (`cola`,
`mnli_matched`, `conll2003.f1_macro`, `cola:train_size=1000`, `average`); none named means every column but the average.
`measure: std` compares standard deviations, and there lower is better. Numbers are compared as the table prints them.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from peftcli.errors import UserError, first_error, unknown
from peftcli.experiment.recipe import Recipe

Strategies = Annotated[list[str], Field(min_length=1)]
Columns = Annotated[list[str], Field(min_length=1)]
Points = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Level = Annotated[float, Field(gt=0, lt=1)]


class _Check(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    on: Columns | None = None

    @field_validator(
        "on",
        "strategies",
        "of",
        "among",
        mode="before",
        check_fields=False,
        json_schema_input_type=str | list[str] | None,
    )
    @classmethod
    def _one_is_a_list(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given


class Better(_Check):
    """Each of `strategies` is better than `than` in every column, by at least `by` points.

    `take`: `best` judges the best row of each name, `every` all of its rows, `any` the best row of all names together.
    """

    kind: Literal["better"]
    strategies: Strategies
    than: str
    by: Points = 0.0
    or_equal: bool = False
    take: Literal["best", "every", "any"] = "best"
    measure: Literal["mean", "std"] = "mean"


class Within(_Check):
    """Each of `strategies` is at most `points` below `than` in every column; above it is within too."""

    kind: Literal["within"]
    strategies: Strategies
    than: str
    points: Points
    take: Literal["best", "every", "any"] = "best"


class Order(_Check):
    """`strategies` stand in this order in every column, best first, none equal."""

    kind: Literal["order"]
    strategies: Annotated[list[str], Field(min_length=2)]
    measure: Literal["mean", "std"] = "mean"


class Best(_Check):
    """In every column the best row of `of` (all, where not given) is one of `among`; equal as printed is best too."""

    kind: Literal["best"]
    among: Strategies
    of: Strategies | None = None
    measure: Literal["mean", "std"] = "mean"


class Worst(_Check):
    """In every column the worst row of `of` (all, where not given) is one of `among`; equal as printed is worst too."""

    kind: Literal["worst"]
    among: Strategies
    of: Strategies | None = None
    measure: Literal["mean", "std"] = "mean"


class Mostly(_Check):
    """Rows of `strategy` beat the row of `than` with the same `match` in more than this share of comparisons."""

    kind: Literal["mostly"]
    strategy: str
    than: str
    match: list[str] = []
    share: Share = 0.5


class Top(_Check):
    """`strategy` is among the best `places` rows in at least `at_least` columns."""

    kind: Literal["top"]
    strategy: str
    places: Count
    at_least: Count
    measure: Literal["mean", "std"] = "mean"


class HowMany(_Check):
    """At least `at_least` of `strategies` (all others, where not given) beat `than`, in every column named."""

    kind: Literal["how many"]
    than: str
    at_least: Count
    strategies: Strategies | None = None
    measure: Literal["mean", "std"] = "mean"


class TimesBest(_Check):
    """Each strategy is best of `of` (all, where not given) in exactly so many columns; equal as printed counts too."""

    kind: Literal["times best"]
    times: Annotated[dict[str, Annotated[int, Field(ge=0)]], Field(min_length=1)]
    of: Strategies | None = None


class Overlap(_Check):
    """Each of `strategies` differs from `than` by at most both standard deviations together; Welch's test is shown."""

    kind: Literal["overlap"]
    strategies: Strategies
    than: str


class Welch(_Check):
    """By Welch's test at `level`, each of `strategies` `is` lower, higher, different or not different from `than`."""

    kind: Literal["welch"]
    strategies: Strategies
    than: str
    is_: Annotated[Literal["lower", "higher", "different", "not different"], Field(alias="is")]
    level: Level = 0.05


class NearMajority(_Check):
    """Each of `strategies` is within `deviations` of its own standard deviations of the majority class."""

    kind: Literal["near majority"]
    strategies: Strategies
    deviations: Annotated[float, Field(gt=0)]
    take: Literal["best", "every", "any"] = "best"


class Descends(_Check):
    """Every row of `strategies` (all, where not given) falls from each column of `on` to the next."""

    kind: Literal["descends"]
    on: Annotated[list[str], Field(min_length=2)]
    strategies: Strategies | None = None


class RankCorrelation(_Check):
    """The rank by standard deviation and the rank by mean, taken in each column, correlate positively (Spearman).

    The columns of the further `tables` that the claim names count as well.
    """

    kind: Literal["rank correlation"]
    level: Level = 0.05


class Trend(_Check):
    """Over the rows of `strategy`, mean or std `rises` or `falls` with `option` (Spearman) in every column named."""

    kind: Literal["trend"]
    strategy: str
    option: str
    direction: Literal["rises", "falls"]
    measure: Literal["mean", "std"] = "mean"
    level: Level = 0.05


_Any = (
    Better | Within | Order | Best | Worst | Mostly | Top | HowMany | TimesBest | Overlap | Welch | NearMajority
) | (Descends | RankCorrelation | Trend)
Check = Annotated[_Any, Field(discriminator="kind")]
KINDS: dict[str, type[_Check]] = {get_args(kind.model_fields["kind"].annotation)[0]: kind for kind in get_args(_Any)}


class Claim(BaseModel):
    """A paper's conclusion: the sentence, the table or figure it stands in, and the checks that must all hold.

    `tables` names further recipes beside this one whose cells count as well (`table1.yaml`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    claim: str
    where: str
    checks: Annotated[list[Check], Field(min_length=1)]
    tables: list[str] = []


def read(recipe: Recipe) -> list[Claim]:
    """Read a recipe's `claims:`. Raises UserError for an unknown kind, key or value."""
    return [_claim(given, f"recipe {recipe.path.name}: claim {at}") for at, given in enumerate(recipe.claims, 1)]


def _claim(given: dict[str, Any], where: str) -> Claim:
    checks = given.get("checks")
    for check in checks if isinstance(checks, list) else []:
        kind = str(check.get("kind")) if isinstance(check, dict) else ""
        if kind not in KINDS:
            raise UserError(f"{where}: {unknown('kind of check', kind, KINDS)}")
    try:
        return Claim.model_validate(given)
    except ValidationError as error:
        raise first_error(error, where, "key", _legal(given, error)) from None


def _legal(given: dict[str, Any], error: ValidationError) -> list[str]:
    """The legal keys at the place of the first finding: the claim's, or those of a check's kind."""
    place = error.errors(include_url=False)[0]["loc"]
    if len(place) > 2 and place[0] == "checks" and isinstance(place[1], int):
        fields = KINDS[given["checks"][place[1]]["kind"]].model_fields
        return [field.alias or name for name, field in fields.items()]
    return list(Claim.model_fields)
