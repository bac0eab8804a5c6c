"""`import_runs`: whole tables become records in a recipe's cells, or nothing is written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import peftcli
from peftcli import files, records
from peftcli.errors import UserError
from peftcli.experiment.recipe import Recipe
from peftcli.importing import importing
from peftcli.importing.importing import Imported
from tests import tables_of_runs, written_records
from tests.tables_of_runs import FORMATS, row
from tests.written_records import small, tabulate, unsynced

ROWS = [
    row(7),
    row(8),
    row(7, task="cola", strategy="layernorm", learning_rate=1e-3, validation_accuracy=None, validation_matthews=-0.25),
    row(9, validation_accuracy=0.75, validation_loss=0.625, total=1000, trainable=10),
]


def bring(file: Path, output: Path, recipe: Recipe | None = None, **options: Any) -> Imported:
    given = {"source": None, "curves_file": None, "renamed": {}, **options}
    with unsynced():
        return importing.import_runs(file, recipe or small(), output, **given)


def bodies(output: Path) -> dict[str, Any]:
    sound, damaged = records.read_all(output)
    assert not damaged
    return {record.id: dict(record.body) for record in sound}


def test_a_row_is_a_record_that_says_where_it_is_from(tmp_path: Path) -> None:
    file = tables_of_runs.write(tmp_path / "theirs.csv", ROWS)
    done = bring(file, tmp_path / "out", source="Their\nrepository")
    assert (done.written, done.present, done.filled, done.cells, dict(done.unfit)) == (4, 0, 2, 8, {})
    body = next(body for body in bodies(tmp_path / "out").values() if body["run"]["seed"] == 9)
    assert body["origin"] == {
        "file": "theirs.csv",
        "fingerprint": files.sha256(file),
        "source": "Their repository",
        "repeat": 0,
        "curves": None,
    }
    assert body["evaluations"] == [
        {"step": 0, "epoch": 0.0, "split": "validation", "accuracy": 0.75, "loss": 0.625},
    ]
    assert body["parameters"] == {"total": 1000, "trainable": 10, "trainable_percent": 1.0}
    assert [body[key] for key in ("status", "cost", "environment", "data", "error")] == ["completed"] + 4 * [None]
    assert not list((tmp_path / "out").rglob("*.safetensors")), "an imported run has no weights"


def test_the_same_table_in_four_formats_gives_the_same_records(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    rows = [
        row(
            int(seed),
            strategy=str(generator.choice(["full", "layernorm"])),
            learning_rate=float(generator.choice([1e-4, 1e-3])),
            validation_accuracy=float(generator.random()),
            validation_loss=float(generator.exponential()) if generator.random() < 0.8 else None,
            step=int(generator.integers(1, 10**9)),
        )
        for seed in generator.choice(2**53, 60, replace=False)
    ]
    by_format = {}
    for form in FORMATS:
        bring(tables_of_runs.write(tmp_path / f"runs.{form}", rows), tmp_path / form)
        by_format[form] = bodies(tmp_path / form)
        for body in by_format[form].values():
            assert body.pop("origin")["file"] == f"runs.{form}"
    assert len(by_format["csv"]) == 60
    assert all(by_format[form] == by_format["csv"] for form in FORMATS)


def test_cells_take_runs_whatever_their_seed(tmp_path: Path) -> None:
    scores = {901: 0.25, 902: 0.5, 77: 0.6}
    rows = [row(seed, validation_accuracy=score) for seed, score in scores.items()]
    bring(tables_of_runs.write(tmp_path / "runs.csv", rows), tmp_path / "out")
    cell = next(cell for cell in tabulate(small(), tmp_path / "out").cells() if cell.task == "rte")
    assert cell.by_rate[1e-4] == pytest.approx(45.0)
    assert cell.values == {77: 60.0, 901: 25.0, 902: 50.0}
    assert (cell.n, cell.planned, cell.sources) == (
        3,
        3,
        (f"runs.csv, SHA-256 {files.sha256(tmp_path / 'runs.csv')[:12]}",),
    )
    assert cell.missing == tuple(
        run.describe() for run in written_records.runs(small(), task="rte", strategy="full", learning_rate=1e-3)
    )


def test_runs_of_one_seed_are_told_apart_by_repeat_and_tested_as_one_value(tmp_path: Path) -> None:
    rows = [row(1, repeat=0, validation_accuracy=0.5), row(1, repeat=1, validation_accuracy=0.7), row(2, repeat=0)]
    bring(tables_of_runs.write(tmp_path / "runs.csv", rows), tmp_path / "out")
    table = tabulate(small(), tmp_path / "out")
    cell = next(cell for cell in table.cells() if cell.task == "rte")
    assert cell.mean == pytest.approx(100 * np.mean([0.5, 0.7, 0.52])), "over runs, as papers print it"
    assert cell.std == pytest.approx(100 * np.std([0.5, 0.7, 0.52], ddof=1))
    assert cell.values == pytest.approx({1: 60.0, 2: 52.0}), "over each seed's mean"
    assert any("full on rte (3 runs, 2 seeds)" in note for note in table.notes)


def test_without_repeat_two_runs_of_one_seed_are_refused(tmp_path: Path) -> None:
    file = tables_of_runs.write(tmp_path / "runs.csv", [row(1), row(2), row(1, validation_accuracy=0.7)])
    with pytest.raises(UserError, match=r"rows 0 and 2 .* both the accuracy on validation of rte full .* repeat"):
        bring(file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rows_that_fit_no_cell_are_counted_by_kind(tmp_path: Path) -> None:
    rows = [
        *[row(seed, task="mnli") for seed in range(3)],
        *[row(seed, strategy="bitfit") for seed in range(2)],
        row(4, learning_rate=0.5),
        row(5, batch_size=8),
        row(6, validation_accuracy=None, test_accuracy=0.5),
        row(7, learning_rate=None),
        row(8, model="another"),
        row(9, color="red"),
    ]
    done = bring(tables_of_runs.write(tmp_path / "runs.jsonl", rows), tmp_path / "out")
    assert dict(done.unfit) == {
        "task=mnli": 3,
        "strategy=bitfit": 2,
        "full learning_rate=5e-1": 1,
        "batch_size=8": 1,
        "no score on validation": 1,
        "fits several cells, for it does not say its learning_rate": 1,
        "model=another": 1,
    }
    assert (done.written, done.unknown) == (1, ("color",))
    assert importing.kinds(done.unfit).startswith("task=mnli (3), strategy=bitfit (2), ")


def test_a_table_without_a_row_that_fits_is_refused(tmp_path: Path) -> None:
    file = tables_of_runs.write(tmp_path / "runs.csv", [row(task="mnli")])
    with pytest.raises(UserError, match=r"no row fits a cell of recipe small.yaml: task=mnli \(1\)"):
        bring(file, tmp_path / "out")


def test_again_is_there_and_other_numbers_of_the_same_run_are_refused(tmp_path: Path) -> None:
    file = tables_of_runs.write(tmp_path / "runs.csv", ROWS)
    bring(file, tmp_path / "out")
    before = bodies(tmp_path / "out")
    again = bring(file, tmp_path / "out")
    assert (again.written, again.present) == (0, 4)
    tables_of_runs.write(file, [*ROWS[:3], row(9, validation_accuracy=0.8), row(10)])
    with pytest.raises(UserError, match="the same run from another file, or with other numbers"):
        bring(file, tmp_path / "out")
    assert bodies(tmp_path / "out") == before, "nothing was written, the new run neither"
    # More seeds of a cell, from another file, stand beside it.
    other = bring(tables_of_runs.write(tmp_path / "more.csv", [row(10)]), tmp_path / "out")
    assert other.written == 1


def test_a_folder_with_trained_runs_of_the_cells_is_refused(tmp_path: Path) -> None:
    recipe = small()
    trained = written_records.runs(recipe, task="rte", strategy="full")[0]
    written_records.write(tmp_path / "out", trained, {"validation": {"accuracy": 0.5}})
    file = tables_of_runs.write(tmp_path / "runs.csv", ROWS)
    with pytest.raises(UserError, match="1 runs that were trained in the same cells"):
        bring(file, tmp_path / "out")
    assert len(bodies(tmp_path / "out")) == 1
    elsewhere = tables_of_runs.write(tmp_path / "others.csv", ROWS[2:3])
    assert bring(elsewhere, tmp_path / "out").written == 1, "runs of other cells stand beside trained ones"


def test_a_renamed_column_and_the_recipe_s_word_for_a_strategy(tmp_path: Path) -> None:
    recipe = small(strategies=[{"full": {"label": "All of it"}}, "layernorm"])
    rows = [{"run_id": 3, "method": "All of it", "task": "rte", "lr": "1e-4", "validation_accuracy": 0.5}]
    file = tables_of_runs.write(tmp_path / "runs.csv", rows)
    renamed = {"seed": "run_id", "strategy": "method"}
    assert bring(file, tmp_path / "out", recipe, renamed=renamed).written == 1
    (body,) = bodies(tmp_path / "out").values()
    assert (body["run"]["seed"], body["run"]["strategy"]) == (3, "full")


def test_an_evaluation_a_row(tmp_path: Path) -> None:
    recipe = small(training={"restore_best": True, "validation_share": 0.2})
    scores = [(10, "validation", 0.6), (20, "validation", 0.8), (30, "validation", 0.7), (20, "test", 0.75)]
    rows = [
        {**row(1, validation_accuracy=None), "step": step, "split": split, "accuracy": score}
        for step, split, score in scores
    ]
    bring(tables_of_runs.write(tmp_path / "runs.csv", rows), tmp_path / "out", recipe)
    (body,) = bodies(tmp_path / "out").values()
    assert [(e["step"], e["split"], e["accuracy"]) for e in body["evaluations"]] == sorted(scores, key=lambda s: s[0])
    cell = next(cell for cell in tabulate(recipe, tmp_path / "out").cells() if cell.task == "rte")
    assert cell.values == {1: 75.0}


def test_a_curve_beside_the_table_decides_which_evaluation_the_row_is(tmp_path: Path) -> None:
    recipe = small(training={"restore_best": True, "validation_share": 0.2})
    rows = [row(1, validation_accuracy=None, test_accuracy=0.75, run=40)]
    file = tables_of_runs.write(tmp_path / "runs.csv", rows)
    np.savez(
        tmp_path / "curves.npz",
        run=np.int16([40, 40, 40]),
        step=np.int32([10, 20, 30]),
        training_loss=np.float32([0.9, 0.6, 0.5]),
        validation_metric=np.float32([0.6, 0.8, 0.7]),
    )
    bring(file, tmp_path / "out", recipe, curves_file=tmp_path / "curves.npz")
    (body,) = bodies(tmp_path / "out").values()
    assert body["origin"]["curves"] == files.sha256(tmp_path / "curves.npz")
    assert [(e["step"], e["split"], e["accuracy"]) for e in body["evaluations"]] == [
        (10, "validation", 0.6),
        (20, "validation", 0.8),
        (20, "test", 0.75),
        (30, "validation", 0.7),
    ]
    assert [(loss["step"], loss["loss"]) for loss in body["training"]] == [(10, 0.9), (20, 0.6), (30, 0.5)]
    assert body["training"][0]["epoch"] == pytest.approx(10 / 125), "1,992 examples left to train on, 16 a batch"


def test_what_load_records_writes_comes_back(tmp_path: Path) -> None:
    recipe = small(
        strategies=["full", "layernorm:layers=1+2"], training={"validation_share": 0.25, "restore_best": True}
    )
    with unsynced():
        for run in written_records.runs(recipe):
            score = written_records.score_of(run)
            metric = "matthews" if run.task == "cola" else "accuracy"
            written_records.write(tmp_path / "ours", run, {split: {metric: score} for split in ("validation", "test")})
    frame = peftcli.load_records(tmp_path / "ours")
    frame.to_csv(tmp_path / "ours.csv", index=False)
    done = bring(tmp_path / "ours.csv", tmp_path / "out", recipe)
    assert (done.written, done.filled, dict(done.unfit)) == (24, 8, {})
    ours, theirs = (list(tabulate(recipe, tmp_path / folder).cells()) for folder in ("ours", "out"))
    numbers = [(cell.values, cell.mean, cell.std, cell.by_rate, cell.trainable, cell.head) for cell in ours]
    assert [(cell.values, cell.mean, cell.std, cell.by_rate, cell.trainable, cell.head) for cell in theirs] == numbers


BROKEN = {
    "empty.csv": (b"", "holds no rows"),
    "header.csv": (b"task,strategy,seed\n", "holds no rows"),
    "text.csv": (
        b"task,seed,validation_accuracy\nrte,one,0.5\n",
        r"column 'seed', row 0 .*'one' is not a whole number",
    ),
    "step.csv": (b"seed,step,validation_accuracy\n1,-4,0.5\n", "step -4 is below 0"),
    "negative.csv": (b"task,seed,validation_accuracy\nrte,-1,0.5\n", "seed -1"),
    "blank.csv": (b"task,seed,validation_accuracy\nrte,,0.5\n", "seed is empty"),
    "percent.csv": (b"seed,validation_accuracy\n1,87.5\n", "87.5 is no fraction"),
    "no_seed.csv": (b"task,validation_accuracy\nrte,0.5\n", "no column seed"),
    "no_split.csv": (b"seed,accuracy\n1,0.5\n", "nothing says of which split 'accuracy' is"),
    "ragged.csv": (b"seed,validation_accuracy\n1,0.5,0.7\n", "line 2 has 3 fields"),
    "twice.csv": (b"seed,seed,validation_accuracy\n1,2,0.5\n", "2 columns 'seed'"),
    "rates.csv": (b"seed,lr,learning_rate,validation_accuracy\n1,1,1,0.5\n", "both say learning_rate"),
    "rate.csv": (b"seed,lr,validation_accuracy\n1,fast,0.5\n", "'fast' is not a number"),
    "strategy.csv": (b"seed,strategy,validation_accuracy\n1,lora:rank,0.5\n", "'rank' is not key=value"),
    "latin.csv": (b"seed,validation_accuracy\n1,0.5\xe9\n", "line 2 is not UTF-8"),
    "lines.jsonl": (b'{"seed": 1}\n{"seed": \n', "line 2 is not JSON"),
    "list.json": (b"[1, 2]", "not a JSON object"),
    "torn.parquet": (b"PAR1", "cannot read"),
    "runs.xlsx": (b"PK", "its suffix '.xlsx' is none of"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    content, said = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        bring(tmp_path / name, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_record_keeps_what_json_can_hold(tmp_path: Path) -> None:
    rows = [row(1, validation_loss="inf"), row(2, validation_loss="nan"), row(3, validation_loss=1e-300)]
    bring(tables_of_runs.write(tmp_path / "runs.csv", rows), tmp_path / "out")
    losses = {b["run"]["seed"]: b["evaluations"][0].get("loss") for b in bodies(tmp_path / "out").values()}
    assert losses == {1: None, 2: None, 3: 1e-300}
    assert json.dumps(losses, allow_nan=False)


def test_a_run_that_did_not_complete_is_one_of_its_cell_without_a_score(tmp_path: Path) -> None:
    rows = [
        row(1, status="completed"),
        row(2, status="diverged", validation_accuracy=None),
        row(3, status="failed", validation_accuracy=None, error="it broke"),
        row(4, status="completed", validation_accuracy=None),
    ]
    done = bring(tables_of_runs.write(tmp_path / "runs.csv", rows), tmp_path / "out")
    assert (done.written, dict(done.unfit)) == (3, {"no score on validation": 1})
    cell = next(cell for cell in tabulate(small(), tmp_path / "out").cells() if cell.task == "rte")
    assert (cell.n, cell.values) == (1, {1: 51.0, 2: None, 3: None})
    with pytest.raises(UserError, match="'finished' is not one of completed, diverged, failed"):
        bring(tables_of_runs.write(tmp_path / "theirs.csv", [row(1, status="finished")]), tmp_path / "other")
