"""CSV and JSON: every digit, what is missing or amiss counted, and no machine's path."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas
import pytest

from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.report import report as reporting
from peftcli.report import summary
from peftcli.report.formats import data
from tests.report.formats.incomplete import incomplete
from tests.written_records import fill, runs, score_of, small


def test_what_is_incomplete_shows_in_the_data(tmp_path: Path) -> None:
    made = incomplete(tmp_path)
    rows = {row["column"]: row for row in csv.DictReader(io.StringIO(reporting.report(made, tmp_path, "csv")))}
    counts = ("state", "n", "planned", "missing", "failed", "diverged")
    assert [rows["rte"][key] for key in counts] == ["incomplete", "1", "3", "2", "0", "0"]
    assert [rows["cola"][key] for key in counts] == ["incomplete", "2", "3", "0", "0", "1"]
    assert [rows["mrpc"][key] for key in counts] == ["incomplete", "2", "3", "0", "1", "0"]
    assert [rows["wnli"][key] for key in counts] == ["missing", "0", "3", "3", "0", "0"]
    assert (rows["wnli"]["mean"], rows["average"]["state"], rows["average"]["mean"]) == ("", "missing", "")
    document = json.loads(reporting.report(made, tmp_path, "json"))
    cells = {cell["column"]: cell for cell in document["cells"]}
    assert cells["cola"]["diverged"] == ["cola full lr=0.001 seed=2"]
    assert document["runs"] == {"completed": 5, "diverged": 1, "failed": 1, "damaged": 0, "missing": 5}
    assert "cola full lr=0.001 seed=2: diverged: loss or weights not finite at step 3" in document["troubles"]


def test_csv_and_json_carry_every_digit(tmp_path: Path) -> None:
    made = small(seeds=4)
    fill(made, tmp_path, score_of)
    frame = pandas.read_csv(io.StringIO(reporting.report(made, tmp_path, "csv")))
    cells = json.loads(reporting.report(made, tmp_path, "json"))["cells"]
    assert len(frame) == len(cells) == 4
    for row, cell in zip(frame.to_dict("records"), cells, strict=True):
        own = runs(made, strategy=row["strategy"], task=row["task"], learning_rate=row["learning_rate"])
        values = [100 * score_of(run) for run in own]
        for found in (row, cell):
            assert found["mean"] == pytest.approx(np.mean(values), rel=1e-15)
            assert found["std"] == pytest.approx(pandas.Series(values).std(), rel=1e-13)
            assert (found["n"], found["ddof"], found["unit"]) == (4, 1, "percent")
        assert cell["values"] == {str(run.seed): pytest.approx(v) for run, v in zip(own, values, strict=True)}


def test_json_has_the_shipped_name_of_a_recipe_or_the_files(tmp_path: Path) -> None:
    file = recipes.find("transferability/table2")
    for path in (file, file.parent / ".." / "transferability" / "table2.yaml"):
        report = summary.summarise(recipes.load(path), tmp_path, False)
        assert json.loads(data.to_json(report))["recipe"] == "transferability/table2"
    assert json.loads(data.to_json(summary.summarise(small(), tmp_path, False)))["recipe"] == "small.yaml"


def test_hostile_words_stay_words(tmp_path: Path, hostile: Recipe) -> None:
    assert json.loads(reporting.report(hostile, tmp_path, "json"))["title"] == hostile.title
