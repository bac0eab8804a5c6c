"""`peftcli records` writes one table of a folder, says what it left out, and `import` takes the table again."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pandas
import pytest

from peftcli import records
from peftcli.experiment import plan
from peftcli.records import imported
from tests import commandline, written_records
from tests.commandline import Command
from tests.written_records import fill, runs, score_of, small, unsynced, write


def test_what_was_written_and_left_out_is_said(peftcli: Command, tmp_path: Path) -> None:
    fill(small(), tmp_path / "results", score_of)
    with unsynced():
        write(tmp_path / "results", runs(small())[0], {}, "diverged")
    to = tmp_path / "new" / "records.parquet"
    ended = peftcli("records", tmp_path / "results", "--to", to)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"wrote {to}: 24 rows of 24 runs (23 completed, 1 diverged)\n"
    assert len(pandas.read_parquet(to)) == 24
    damaged = tmp_path / "results" / "rte" / "full-0.json"
    damaged.write_text("{}")
    ended = peftcli("records", tmp_path / "results", "--to", to, "--curves")
    assert ended.code == 1
    assert ended.err.startswith(f"left out {damaged}: not a record of this program\nwrote {to}: 24 rows")


def test_the_same_records_give_the_same_bytes(peftcli: Command, tmp_path: Path) -> None:
    fill(small(), tmp_path / "results", score_of)
    for form in ("csv", "parquet"):
        for name in ("one", "other"):
            assert peftcli("records", tmp_path / "results", "--to", tmp_path / f"{name}.{form}").code == 0
        assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"other.{form}").read_bytes()


def test_bad_input_is_one_line(peftcli: Command, tmp_path: Path) -> None:
    fill(small(seeds=1), tmp_path / "results", score_of)
    (tmp_path / "folder.csv").mkdir()
    for arguments, said in (
        (("none", "--to", "x.csv"), "no results folder none"),
        ((tmp_path, "--to", tmp_path / "x.csv"), "holds no sound record"),
        ((tmp_path / "results", "--to", tmp_path / "x.xlsx"), "unknown ending '.xlsx': known: .parquet, .csv"),
        ((tmp_path / "results", "--to", tmp_path / "x.parqet"), "did you mean '.parquet'"),
        ((tmp_path / "results", "--to", tmp_path / "folder.csv"), "cannot write"),
        ((tmp_path / "results", "--to", ""), "--to"),
        ((tmp_path / "results",), "--to"),
        (("", "--to", "x.csv"), "it is empty"),
    ):
        ended = peftcli("records", *arguments)
        assert ended.is_one_line, (arguments, ended)
        assert said in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.csv", "results"]


def test_no_torch_is_imported(tmp_path: Path) -> None:
    fill(small(seeds=1), tmp_path / "results", score_of)
    ended = commandline.fresh(("records", tmp_path / "results", "--to", tmp_path / "x.parquet"))
    assert ended.code == 0
    assert not {"torch", "transformers"} & set(ended.heavy)


def ended_otherwise(recipe: Any, output: Path) -> None:
    """Make of three runs of a recipe one that diverged, one that failed and one that gave one answer for all."""
    diverged, failed, collapsed = [each.run for each in plan.expand(recipe)][:3]
    before = records.find(output, collapsed)
    assert before is not None
    cost = {"seconds": 1.5, "steps": 3, "tokens": 9, "peak_memory_bytes": None, "cohort": 2, "ended": 1795749375}
    evaluations = [{**evaluation, "collapsed": True} for evaluation in before.body["evaluations"]]
    parameters = before.body["parameters"]
    with unsynced():
        write(output, diverged, {}, "diverged")
        write(output, failed, {}, "failed", parameters=None, cost=None, environment=None, data=None)
        write(output, collapsed, {}, evaluations=evaluations, parameters=parameters, cost=cost)


# freezing/table1 holds a part of the training set out and prints every rate; transferability/table3 has a strategy's
# options in its columns.
@pytest.mark.parametrize(
    ("name", "form", "more"),
    [
        ("freezing/table1", "csv", ()),
        ("transferability/table3", "parquet", ()),
        ("transferability/table3", "csv", ("--curves",)),
    ],
)
def test_a_report_of_the_imported_table_is_that_of_the_records(
    peftcli: Command, tmp_path: Path, name: str, form: str, more: tuple[str, ...]
) -> None:
    recipe = written_records.load(name)
    written_records.from_published(recipe, tmp_path / "records")
    ended_otherwise(recipe, tmp_path / "records")
    file = tmp_path / f"table.{form}"
    assert peftcli("records", tmp_path / "records", "--to", file, *more).code == 0
    with unsynced():
        ended = peftcli("import", file, "--recipe", name, "--output", tmp_path / "back")
    assert ended.code == 0, ended.err
    assert "fit no cell" not in ended.err
    left_out = "'label', 'counts', 'source'" if more else "'label', 'source'"
    assert ended.err.splitlines()[2] == f"columns left out: {left_out}"
    first, second = (_report(peftcli, name, tmp_path / folder) for folder in ("records", "back"))
    assert len(first) > 40
    assert first == second
    _same_bodies(tmp_path / "records", tmp_path / "back")


def _report(peftcli: Command, name: str, output: Path) -> list[dict[str, str]]:
    """The cells of a report, without the words for where imported runs are from."""
    ended = peftcli("report", name, "--output", output, "--format", "csv")
    assert ended.code == 0, ended.err
    rows = list(csv.DictReader(ended.out.splitlines()))
    return [{column: value for column, value in row.items() if column != "sources"} for row in rows]


def _same_bodies(trained: Path, back: Path) -> None:
    """Compare what imported records hold with the records that they were made of."""
    of_run = {imported.identity(record.run, 0): dict(record.body) for record in records.read_all(trained)[0]}
    sound, damaged = records.read_all(back)
    assert not damaged
    assert {record.id for record in sound} == set(of_run)
    for record in sound:
        before, after = of_run[record.id], record.body
        for key in ("status", "error", "parameters", "environment", "data"):
            assert after[key] == before[key], key  # type: ignore[literal-required]
        # These records, made from numbers, do not say whether a run collapsed; a correlation of 0 would.
        for entry, other in zip(after["evaluations"], before["evaluations"], strict=True):
            assert entry == {**({"collapsed": False} if "collapsed" in entry else {}), **other}
        known = {name: value for name, value in (before["cost"] or {}).items() if value is not None}
        assert (after["cost"] or {}) == known


def test_scores_survive_both_ways_to_the_bit(peftcli: Command, tmp_path: Path) -> None:
    recipe = small(tasks=["rte"], strategies=["full"], learning_rates=[1e-4], seeds=40)
    planned = runs(recipe)
    scores = {run.seed: math.sin(run.seed + 1) / 3 for run in planned}
    with unsynced():
        for run in planned:
            write(tmp_path / "results", run, {"validation": {"accuracy": scores[run.seed]}})
    (tmp_path / "small.yaml").write_text(
        json.dumps({**written_records.SMALL, "tasks": ["rte"], "strategies": ["full"]})
    )
    for form in ("csv", "parquet"):
        file = tmp_path / f"table.{form}"
        assert peftcli("records", tmp_path / "results", "--to", file).code == 0
        with unsynced():
            ended = peftcli("import", file, "--recipe", tmp_path / "small.yaml", "--output", tmp_path / form)
        assert ended.code == 0, ended.err
        back = {r.run.seed: r.body["evaluations"][0]["accuracy"] for r in records.read_all(tmp_path / form)[0]}  # type: ignore[typeddict-item]
        assert back == scores
