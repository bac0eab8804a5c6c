"""Options are read as people write them, and what is no value of their type is refused in one line."""

from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.strategies import registry


@pytest.mark.parametrize(
    ("text", "layers"), [(7, [7]), ("5-8", [5, 6, 7, 8]), ("1+3-4", [1, 3, 4]), ("12", [12]), ([2, 1], [2, 1])]
)
def test_layers_are_read_as_people_write_them(text: object, layers: list[int]) -> None:
    assert registry.get("layernorm").options({"layers": text})["layers"] == layers


def test_whole_numbers_are_floats_where_an_option_is_one() -> None:
    assert repr(registry.get("lora").options({"alpha": 128})["alpha"]) == "128.0"
    assert repr(registry.get("diffpruning").options({"gate_start": 5})["gate_start"]) == "5.0"
    assert registry.get("diffpruning").options({"gate_start": "drawn"})["gate_start"] == "drawn"
    assert registry.get("spafit").options({"groups": "4-9"})["groups"] == [4, 9]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("layernorm", {"layers": []}, "layers: '[]'"),
        ("layernorm", {"layers": [0]}, "layers.0: 0 is out of range: the nearest is 1"),
        ("layernorm", {"layers": "one"}, "'one' should be a valid integer"),
        ("layernorm", {"embedding": "yes"}, "embedding: 'yes' should be a valid boolean"),
        ("layernorm_outlier", {"n": 0}, "n: 0 is out of range: the nearest is 1"),
        ("layernorm_outlier", {"n": True}, "'True' should be a valid integer"),
        ("random", {"share": 1.5}, "share: 1.5 is out of range: the nearest is 1.0"),
        ("random", {"share": float("nan")}, "share: 'nan'"),
        ("random", {"draw": "some"}, "unknown value 'some'"),
        ("lora", {"alpha": True}, "alpha: 'True'"),
        ("diffpruning", {"gate_start": float("inf")}, "gate_start: 'inf'"),
        ("diffpruning", {"gate_start": "drwn"}, "gate_start: 'drwn' is neither a number nor 'drawn'"),
        ("diffpruning", {"gate_start": True}, "gate_start: 'True' is neither a number nor 'drawn'"),
        ("spafit", {"groups": [4]}, "groups: '[4]'"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        registry.get(name).options(options)
    assert message in str(caught.value)
