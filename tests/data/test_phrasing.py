"""How a model reads texts where its run says so, and where it does not: encoders one way, decoders another."""

from dataclasses import replace
from typing import Any

import pytest

from peftcli.data import phrasing
from peftcli.data.phrasing import Phrasing
from peftcli.errors import UserError
from peftcli.experiment import templates
from peftcli.experiment.plan import defaults
from peftcli.experiment.settings import Training


def of(model_type: str, **settings: Any) -> Phrasing:
    return phrasing.of({"model_type": model_type}, Training.model_validate({**defaults(), "epochs": 3.0, **settings}))


ENCODERS, DECODERS = (
    ("bert", "roberta", "modernbert", "deberta-v2"),
    ("gpt2", "gpt_neox", "llama", "qwen3", "gemma3_text"),
)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("decoder", DECODERS)
def test_encoders_and_decoders_have_their_own_ways(encoder: str, decoder: str) -> None:
    assert of(encoder) == Phrasing(128, "truncate", None, "first")
    assert of(decoder) == Phrasing(128, "truncate", templates.parse("{first}\n{second}"), "last")
    assert of(decoder, max_length=64, overlong="drop") == replace(of(decoder), max_length=64, overlong="drop")


@pytest.mark.parametrize("model_type", [ENCODERS[0], DECODERS[0]])
def test_what_a_run_says_outranks_them(model_type: str) -> None:
    told = of(model_type, template="{second} {first}", read_word="last")
    assert told == Phrasing(128, "truncate", templates.parse("{second} {first}"), "last")
    assert of(model_type, read_word="first").word == "first"


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(UserError, match="berd"):
        of("berd")
