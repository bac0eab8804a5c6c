"""A record's cost, environment and data go to columns and come back as they were."""

from datetime import UTC, datetime
from typing import Any, cast

from peftcli.records import flat
from peftcli.records.body import Body

BODY: dict[str, Any] = {
    "cost": {"seconds": 36.25, "steps": 10, "peak_memory_bytes": None, "ended": 1795749375},
    "environment": {"device": "cpu", "compiled": False, "packages": {"torch": "2.13.0", "a.dotted.name": "1"}},
    "data": {
        "fingerprint": "12e4",
        "sizes": {"train": 10, "validation": 3},
        "differences": ["one", "an, other"],
        "left_out": {"train": {"empty": 2}},
        "unknown": {"train": 0.125},
    },
}


def test_a_body_s_parts_come_back_from_their_columns() -> None:
    columns = flat.columns(cast(Body, BODY))
    assert columns["cost.seconds"] == 36.25
    assert columns["environment.packages.a.dotted.name"] == "1"
    assert columns["data.left_out.train.empty"] == 2
    assert columns["data.differences"] == '["one", "an, other"]'
    assert columns["cost.ended"] == datetime(2026, 11, 27, 3, 16, 15, tzinfo=UTC)
    assert all(not isinstance(value, list | dict) for value in columns.values())
    # What says nothing is left out, as in a record that never had it.
    cost = {"seconds": 36.25, "steps": 10, "ended": 1795749375}
    back = {name: flat.part(name, columns) for name in flat.PARTS}
    assert back == {**BODY, "cost": cost}


def test_a_failed_run_s_parts_are_none() -> None:
    columns = flat.columns(cast(Body, dict.fromkeys(flat.PARTS)))
    assert columns == {}
    assert [flat.part(name, columns) for name in flat.PARTS] == [None, None, None]


def test_what_columns_hold_follows_from_the_types_of_records() -> None:
    kinds = {
        "cost.seconds": float,
        "cost.ended": datetime,
        "cost.peak_memory_bytes": int,
        "environment.compiled": bool,
        "environment.packages.torch": str,
        "data.sizes.validation_matched": int,
        "data.unknown.train": float,
        "data.differences": list,
        "data.left_out.train.empty": int,
    }
    assert {name: flat.kind(name) for name in kinds} == kinds
    nothing = ("cost", "cost.", "cost.second", "cost.seconds.more", "data.sizes", "data.left_out.train", "model.name")
    assert [flat.kind(name) for name in nothing] == [None] * len(nothing)
