"""The rows that the effectiveness paper's authors held out: as many as it prints, of the official training sets."""

import pytest

from peftcli.errors import UserError
from peftcli.experiment import held_out, plan, recipe
from peftcli.tasks.registry import TASKS
from tests.written_records import runs, small

SIZES = {"cola": 856, "stsb": 583, "mrpc": 374, "rte": 249, "cb": 25, "copa": 40, "wsc": 59}


@pytest.mark.parametrize("task", SIZES)
def test_as_many_rows_as_the_paper_held_out(task: str) -> None:
    rows = held_out.rows(task)
    assert len(rows) == SIZES[task]
    assert list(rows) == sorted(set(rows))
    assert 0 <= rows[0] <= rows[-1] < TASKS[task].sizes["train"]


def test_they_are_the_released_reading_s_and_part_of_its_runs_ids_alone() -> None:
    described, released = (
        plan.expand(recipe.load(recipe.find("effectiveness/table1"), {"protocol": reading, "seeds": 1}))
        for reading in ("described", "released")
    )
    assert {each.run.protocol.validation_split for each in described} == {"fixed"}
    assert {each.run.protocol.validation_split for each in released} == {"authors"}
    assert all(each.origins["validation_split"].endswith("code") for each in (*described, *released))
    other = [each.run.canonical_fields["protocol"]["validation_split"] for each in released]
    assert set(other) == {"authors"}
    plain = runs(small(training={"validation_share": 0.1}))[0]
    assert "validation_split" not in plain.canonical_fields["protocol"]


def test_a_task_without_known_rows_is_refused_before_anything_is_trained() -> None:
    asked = {"validation_share": 0.1, "validation_split": "authors"}
    with pytest.raises(UserError, match=r"validation_split authors: unknown task 'sst2'.*known: cola, stsb, mrpc"):
        runs(small(tasks=["sst2"], training=asked))
    with pytest.raises(UserError, match="validation_split authors needs a validation_share above 0"):
        runs(small(tasks=["rte"], training={"validation_split": "authors"}))
