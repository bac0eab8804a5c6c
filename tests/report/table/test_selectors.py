"""Selectors: names of strategies and columns as recipes write them."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.report.table.selectors import Selector, matches


@dataclass
class Named:
    strategy: str = "spafit"
    options: dict[str, Any] = field(default_factory=lambda: {"groups": [4, 9], "variant": "II"})
    setting: dict[str, Any] = field(default_factory=lambda: {"train_size": 1000, "learning_rate": 1e-3})
    column: str = "conll2003"
    metric: str = "f1_macro"


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("spafit", True),
        ("spafit:groups=4-9,variant=II", True),
        ("spafit:groups=4-9,variant=I", False),
        ("spafit:groups=4+9", True),
        ("spafit:groups=4-14", False),
        ("spafit:learning_rate=1e-3", True),
        ("spafit:learning_rate=1e-4", False),
        ("spafit:rank=4", False),
        ("lora", False),
    ],
)
def test_a_strategy_fits_by_name_options_and_settings(text: str, fits: bool) -> None:
    assert Selector.parse(text).fits(Named()) is fits


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("conll2003", True),
        ("conll2003.f1_macro", True),
        ("conll2003.f1_micro", False),
        ("conll2003:train_size=1000", True),
        ("conll2003:train_size=all", False),
        ("cola", False),
    ],
)
def test_a_column_fits_by_name_metric_and_settings(text: str, fits: bool) -> None:
    assert Selector.parse(text).fits_column(Named()) is fits


def test_all_is_none_and_one_is_a_list_of_one() -> None:
    assert matches({"train_size": None}, {"train_size": "all"})
    assert matches({"layers": [7]}, {"layer": 7})
    assert not matches({"layers": [7, 8]}, {"layer": 7})
    assert not matches({}, {"train_size": "all"})


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(UserError, match="'II' is not key=value"):
        Selector.parse("spafit:II")
