"""A run's rows and curve become evaluations at their steps; the one that counts is the protocol's."""

from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment.run import Run
from peftcli.importing import endings
from peftcli.importing.rows import Measured, Row
from tests.written_records import runs, small

LAST = {"restore_best": True, "validation_share": 0.2, "ties": "last"}
CURVE = [
    Measured(step, None, {("validation", None): score, ("validation", "loss"): 1.0}, 0.5)
    for step, score in ((10, 0.5), (20, 0.75), (30, 0.75), (40, 0.7))
]


def run(task: str = "rte", **training: Any) -> Run:
    return runs(small(tasks=[task], training=training))[0]


def row(scores: dict[tuple[str, str | None], float], **changes: Any) -> Row:
    whole = {
        **{"number": 0, "words": {}, "learning_rate": None, "seed": 0, "repeat": 0, "settings": {}},
        **{
            "measured": Measured(changes.pop("step", None), None, scores),
            "best": {},
            "best_steps": {},
            "parameters": {},
        },
    }
    return Row(**{**whole, **changes})


def steps(ending: Any) -> list[tuple[int, str]]:
    return [(evaluation["step"], evaluation["split"]) for evaluation in ending["evaluations"]]


@pytest.mark.parametrize(
    ("training", "step"), [(LAST, 30), (LAST | {"ties": "first"}, 20), ({"validation_share": 0.2}, 40)]
)
def test_a_row_without_a_step_is_of_the_evaluation_that_counts(training: dict[str, Any], step: int) -> None:
    ended = endings.ending(run(**training), [row({("test", "accuracy"): 0.6}, best={"validation": 0.75})], CURVE)
    assert sorted(steps(ended)) == sorted([*((n, "validation") for n in (10, 20, 30, 40)), (step, "test")])
    assert [loss["loss"] for loss in ended["training"]] == [0.5] * 4


@pytest.mark.parametrize(("ties", "step"), [("last", 73), ("first", 69)])
def test_without_a_curve_the_file_says_where_the_best_was(ties: str, step: int) -> None:
    said = row({("test", "accuracy"): 0.6}, best={"validation": 0.7}, best_steps={"first_best": 69, "last_best": 73})
    ended = endings.ending(run(**LAST | {"ties": ties}), [said], [])
    assert [(e["step"], e["split"], e["accuracy"]) for e in ended["evaluations"]] == [
        (step, "test", 0.6),
        (step, "validation", 0.7),
    ]


def test_one_answer_for_every_example_has_no_correlation() -> None:
    ended = endings.ending(run("cola"), [row({("validation", "matthews"): 0.0}), row({("test", "matthews"): 0.1})], [])
    assert [evaluation["collapsed"] for evaluation in ended["evaluations"]] == [True, False]


def test_the_same_moment_twice_is_refused() -> None:
    twice = [row({("test", "accuracy"): 0.6}, step=5, number=n) for n in (4, 9)]
    with pytest.raises(UserError, match=r"rows 4 and 9 .* are both the accuracy on test of rte full"):
        endings.ending(run(), twice, [])
    with pytest.raises(UserError, match=r"curve of rte full .* the accuracy on validation twice at step 10"):
        endings.ending(run(), [row({("test", "accuracy"): 0.6})], [*CURVE, CURVE[0]])
    apart = [row({("test", "accuracy"): 0.6}, step=n) for n in (4, 9)]
    assert steps(endings.ending(run(), apart, [])) == [(4, "test"), (9, "test")]


def test_rows_may_say_how_a_run_ended_and_what_it_took() -> None:
    said = {"status": "diverged", "error": "not finite at step 3"}
    parts = {"cost.seconds": 1.5, "environment.packages.torch": "2.13.0", "data.sizes.train": 7}
    ended = endings.ending(run(), [row({}, words=said, parts=parts)], [])
    assert (ended["status"], ended["error"], ended["evaluations"]) == ("diverged", "not finite at step 3", [])
    assert ended["cost"] == {"seconds": 1.5}
    assert ended["environment"] == {"packages": {"torch": "2.13.0"}}
    assert ended["data"] == {"sizes": {"train": 7}}
    both = [row({}, words={"status": status}, step=step) for step, status in ((1, "completed"), (2, "failed"))]
    with pytest.raises(UserError, match="disagree on its status: completed and failed"):
        endings.ending(run(), both, [])


def test_that_a_run_collapsed_may_be_said_and_is_else_seen_by_a_correlation() -> None:
    said = row({("validation", "matthews"): 0.0, ("validation", "collapsed"): False}, step=1)
    assert endings.ending(run("cola"), [said], [])["evaluations"][0]["collapsed"] is False
    said = row({("validation", "accuracy"): 0.5, ("validation", "collapsed"): True}, step=1)
    assert endings.ending(run(), [said], [])["evaluations"][0]["collapsed"] is True
    assert (
        "collapsed" not in endings.ending(run(), [row({("validation", "accuracy"): 0.5}, step=1)], [])["evaluations"][0]
    )
