"""What a user is told of a mistake: one line with the bad value, the nearest legal one, and what is legal."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from peftcli import errors
from peftcli.errors import UserError


def test_an_error_is_one_line() -> None:
    assert str(UserError("a\nb  c\n")) == "a b c"


def test_an_unknown_name_comes_with_the_nearest_and_all_that_are_legal() -> None:
    names = ["full", "layernorm"]
    near = errors.unknown("strategy", "layrnorm", names)
    assert str(near) == "unknown strategy 'layrnorm': did you mean 'layernorm'? known: full, layernorm"
    assert str(errors.unknown("strategy", "xyz", names)) == "unknown strategy 'xyz': known: full, layernorm"
    assert str(errors.unknown("option", "share", [])) == "unknown option 'share': known: none"
    long = str(errors.unknown("task", "a" * 300, ["rte"]))
    assert long == f"unknown task '{'a' * 200}…': known: rte"


def test_another_library_s_error_is_its_first_line() -> None:
    assert errors.first_line(ValueError("\n no such file\nmore")) == "no such file"
    assert errors.first_line(KeyError()) == "KeyError"
    assert errors.first_line(ValueError("x" * 300)) == "x" * 200
    assert errors.first_line(ValueError("abcdef"), 3) == "abc"


def test_a_pair_is_split_at_its_first_sign() -> None:
    assert errors.key_value("filter=a=b", "none") == ("filter", "a=b")
    assert errors.key_value("mem=", "none") == ("mem", "")
    for pair in ("mem", "=4G", ""):
        with pytest.raises(UserError, match=r"^--slurm takes key=value$"):
            errors.key_value(pair, "--slurm takes key=value")


class Settings(BaseModel):
    """Settings of every kind of mistake."""

    model_config = ConfigDict(extra="forbid", strict=True)
    steps: Annotated[int, Field(ge=1)]
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.1
    share: Annotated[float, Field(le=1)] = 0.1
    optimizer: Literal["adam", "adamw"] = "adam"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "x.yaml: setting 'steps' is missing"),
        ({"steps": 0}, "x.yaml: steps: 0 is out of range: the nearest is 1; legal is 1 or more"),
        ({"steps": "two"}, "x.yaml: steps: 'two' should be a valid integer"),
        ({"steps": 1, "rate": 0}, "x.yaml: rate: 0 is out of range: legal is more than 0.0"),
        ({"steps": 1, "rate": 1.0}, "x.yaml: rate: 1.0 is out of range: legal is less than 1.0"),
        ({"steps": 1, "share": 2.5}, "x.yaml: share: 2.5 is out of range: the nearest is 1.0; legal is 1.0 or less"),
        ({"steps": 1, "stepz": 2}, "x.yaml: unknown setting 'stepz': did you mean 'steps'? known: steps, rate"),
        (
            {"steps": 1, "optimizer": "adamww"},
            "x.yaml: optimizer: unknown value 'adamww': did you mean 'adamw'? known: adam, adamw",
        ),
    ],
)
def test_a_bad_document_s_first_mistake_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(settings)
    assert str(errors.first_error(caught.value, "x.yaml", "setting", ["steps", "rate"])) == message
