"""How a model reads texts where its run says so, and where it does not: encoders one way, decoders another."""

from dataclasses import replace
from typing import Any

import pytest

from peftcli.data import reading
from peftcli.data.reading import Reading
from peftcli.errors import UserError
from peftcli.experiment import templates
from peftcli.experiment.plan import defaults
from peftcli.experiment.settings import Training
from peftcli.models.families import FAMILIES

ENCODER, DECODER = "bert", "a decoder"


@pytest.fixture(autouse=True)
def decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, DECODER, replace(FAMILIES[ENCODER], decoder=True))


def of(model_type: str, **settings: Any) -> Reading:
    return reading.of({"model_type": model_type}, Training.model_validate({**defaults(), "epochs": 3.0, **settings}))


def test_each_kind_of_model_has_its_own_way() -> None:
    assert of(ENCODER) == Reading(128, "truncate", None, "first")
    assert of(DECODER) == Reading(128, "truncate", templates.parse("{first}\n{second}"), "last")
    assert of(DECODER, max_length=64, overlong="drop") == replace(of(DECODER), max_length=64, overlong="drop")


@pytest.mark.parametrize("model_type", [ENCODER, DECODER])
def test_what_a_run_says_outranks_it(model_type: str) -> None:
    told = of(model_type, template="{second} {first}", read_word="last")
    assert told == Reading(128, "truncate", templates.parse("{second} {first}"), "last")
    assert of(model_type, read_word="first").word == "first"


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="berd"):
        of("berd")
