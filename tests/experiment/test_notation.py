"""What may be written shortly in a recipe means what the long form means."""

from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment.notation import MOST_SEEDS, named_entry, parse_strategy, seeds_as_list


@pytest.mark.parametrize(
    ("key", "written", "name", "said"),
    [
        ("tasks", "rte", "rte", {}),
        ("tasks", {"rte": None}, "rte", {}),
        ("tasks", {"rte": {"label": "RTE"}}, "rte", {"label": "RTE"}),
        ("tasks", {"name": "rte", "label": "RTE"}, "rte", {"label": "RTE"}),
        # The label of one's own data is a column, and is kept apart from the table's word.
        ("tasks", {"name": "mine", "data": "d", "label": "y"}, "mine", {"data": "d", "label_column": "y"}),
        ("tasks", {"mine": {"data": "d", "label": "y"}}, "mine", {"data": "d", "label_column": "y"}),
        ("strategies", "full", "full", {}),
        ("strategies", "layernorm:layers=5-8,embedding=true", "layernorm", {"layers": "5-8", "embedding": True}),
        ("strategies", {"lora": {"rank": 4}}, "lora", {"rank": 4}),
        ("strategies", {"name": {"rank": 4}}, "name", {"rank": 4}),  # a key like any other: only tasks are described so
    ],
)
def test_entries_are_a_name_and_what_is_said_of_it(key: str, written: Any, name: str, said: dict[str, Any]) -> None:
    assert named_entry(key, written) == (name, said)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"rte": {}, "cola": {}}, "is neither a name nor a mapping with one name"),
        ({}, "is neither a name nor a mapping with one name"),
        (3, "is neither a name nor a mapping with one name"),
        ({"rte": 3}, "what is said of 'rte' must be a mapping, not '3'"),
    ],
)
def test_other_entries_are_refused(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        named_entry("tasks", written)


def test_a_number_of_seeds_counts_from_zero() -> None:
    assert seeds_as_list({"seeds": 3, "label": "x"}) == {"seeds": [0, 1, 2], "label": "x"}
    for untouched in ({"seeds": [5]}, {"seeds": True}, {}, "text", None):
        assert seeds_as_list(untouched) == untouched
    for count in (0, -1, MOST_SEEDS + 1):
        with pytest.raises(ValueError, match=f"seeds: {count} is no count of seeds"):
            seeds_as_list({"seeds": count})


def test_options_on_the_command_line_are_yaml() -> None:
    assert parse_strategy("spafit:groups=4-9,rank=8,dropout=1e-1,train_head=false,variant=null") == {
        "spafit": {"groups": "4-9", "rank": 8, "dropout": 0.1, "train_head": False, "variant": None}
    }
    assert parse_strategy("full:") == {"full": {}}


@pytest.mark.parametrize(
    ("text", "message"),
    [("lora:rank", "'rank' is not option=value"), ("lora:rank=1,rank=2", "option 'rank' stands twice")],
)
def test_bad_options_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_strategy(text)
