"""What a record says is of the kinds that readers rely on, or it is refused by the key that is not."""

from typing import Any

import pytest

from peftcli.records.body import KEYS, Unreadable, checked

BODY: dict[str, Any] = {
    "schema": 1,
    "id": "0123456789abcdef",
    "run": {"model": "tiny"},
    "status": "completed",
    "parameters": {"total": 10, "trainable": 2, "head": 1, "trainable_percent": 20.0},
    "training": [{"step": 1, "epoch": 0.5, "loss": None, "learning_rate": 1e-3}],
    "evaluations": [
        {"accuracy": 1 / 3, "collapsed": False, "step": 1, "split": "validation", "epoch": 0.5, "f1": None}
    ],
    "cost": {"seconds": 1.5, "steps": 1, "tokens": 7, "peak_memory_bytes": None, "cohort": 1},
    "environment": {"device": "cpu", "packages": {"torch": "2.13", "peft": None}, "commit": None},
    "data": {"fingerprint": "f", "sizes": {"train": 2}, "differences": [], "left_out": {"train": {"examples": 1}}},
    "error": None,
}


def test_a_sound_body_comes_back_as_it_is() -> None:
    """The same object: a copy would have its keys in the order of the types, and columns made of them too."""
    assert checked(BODY) is BODY
    assert set(KEYS) == set(BODY)


def test_a_failed_run_has_measured_nothing() -> None:
    nothing = dict.fromkeys(("parameters", "cost", "environment", "data"))
    failed = {**BODY, **nothing, "status": "failed", "training": [], "evaluations": [], "error": "OSError: no"}
    assert checked(failed)["parameters"] is None


def test_another_version_may_say_more_or_less() -> None:
    more = {**BODY, "cost": {"seconds": 1.0, "joules": 5}, "parameters": {}, "environment": {"gpus": 4}}
    assert checked(more)["cost"] == {"seconds": 1.0, "joules": 5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "its schema is not one that this version knows"),
        ({"status": "done"}, "its status is not one that this version knows"),
        ({"id": 3}, "its id is not of the kind that records have"),
        ({"run": []}, "its run is not of the kind that records have"),
        ({"error": {}}, "its error is not of the kind that records have"),
        ({"cost": 3}, "its cost is not of the kind that records have"),
        ({"cost": {"seconds": "1.5"}}, "its cost are not numbers"),
        ({"cost": {"seconds": 1.5, "joules": "5"}}, "its cost are not numbers"),
        ({"cost": {"seconds": 1.5, "ended": 1e300}}, "its cost are not numbers"),
        ({"cost": {"seconds": 1.5, "ended": -1}}, "its cost are not numbers"),
        ({"cost": {"seconds": 1.5, "ended": 253_402_300_800}}, "its cost are not numbers"),  # the year 10000
        ({"parameters": {"total": [10]}}, "its parameters are not numbers"),
        ({"training": None}, "its training is not of the kind that records have"),
        ({"training": [1]}, "its training are not steps with numbers"),
        ({"training": [{"step": 1}]}, "its training are not steps with numbers"),
        ({"training": [{"step": 1.5, "epoch": 0.5}]}, "its training are not steps with numbers"),
        ({"training": [{"step": 1, "epoch": 0.5, "norm": "1"}]}, "its training are not steps with numbers"),
        ({"evaluations": [{"step": 1, "epoch": 0.5}]}, "its evaluations do not say of what"),
        ({"evaluations": [{"step": 1, "epoch": 0.5, "split": 3}]}, "its evaluations do not say of what"),
        (
            {"evaluations": [{"step": 1, "epoch": 0.5, "split": "test", "f1": "0.5"}]},
            "its evaluations are not steps with numbers",
        ),
        ({"environment": {"packages": ["torch"]}}, "its environment is not of the kind that records have"),
        ({"data": {"sizes": {"train": "2"}}}, "its data is not of the kind that records have"),
    ],
)
def test_what_is_of_another_kind_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Unreadable, match=f"^{message}$"):
        checked({**BODY, **changes})
