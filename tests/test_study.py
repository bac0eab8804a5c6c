"""The study in `results/`: its pages are what its records say, and its records are what the program trains."""

import random
import re
import runpy
from pathlib import Path

import pytest

from peftcli import records
from peftcli.engine import training
from peftcli.experiment import plan, recipe
from peftcli.records import Record
from peftcli.runner import cohort as cohorts
from peftcli.runner.work import SweepSettings
from tests.material import REAL, needs_data, needs_minilm

ROOT = Path(__file__).parents[1]
STUDY = runpy.run_path(str(ROOT / "docs/study.py"))
FILES = sorted(file for file in (ROOT / "results/minilm").glob("*/*.json"))
MOST_BYTES = 50_000  # of a record
UPDATES = 3
# Of a loss: a run alone and one among five add up in another order, and another kind of processor in yet another one.
NEAR = 1e-4
# Of a score, after a hundred updates that such differences have gone through.
NEAR_AT_THE_END = 0.02


def drawn() -> Record:
    """A record drawn at random, another one each time."""
    return records.read(random.SystemRandom().choice(FILES))


def settings(output: Path) -> SweepSettings:
    return SweepSettings("minilm", output, REAL, keep_predictions=False, device="cpu")


def test_what_is_committed_is_what_the_records_say() -> None:
    contents: dict[Path, bytes] = STUDY["contents"]()
    names = [file.relative_to(ROOT).as_posix() for file in contents]
    assert names == ["results/README.md", "README.md", "results/minilm/modules-pareto.svg"]
    assert [str(file) for file, content in contents.items() if file.read_bytes() != content] == [], "run `make study`"


def test_every_record_is_of_a_run_of_the_recipes_and_says_what_made_it() -> None:
    planned = {
        each.run.id
        for name in recipe.shipped()
        if name.startswith("minilm/")
        for each in plan.expand(recipe.load(recipe.find(name)))
    }
    sound, damaged = records.read_all(ROOT / "results/minilm")
    assert damaged == []
    assert len(sound) == len(FILES) >= 10
    assert {record.id for record in sound} <= planned
    assert {record.status for record in sound} == {"completed"}
    for record in sound:
        environment = record.body["environment"]
        assert environment is not None
        assert re.fullmatch("[0-9a-f]{12}", environment["commit"] or ""), "of a commit, nothing changed since"


def test_the_folder_is_small_and_holds_no_text_of_the_data() -> None:
    every = [file for file in (ROOT / "results/minilm").rglob("*") if file.suffix in (".json", ".svg")]
    assert max(file.stat().st_size for file in FILES) < MOST_BYTES
    assert sum(file.stat().st_size for file in every) < 200 * MOST_BYTES
    # The second sentence of the first training row.
    assert not any(b"plane" in file.read_bytes() for file in FILES)


@needs_data
@needs_minilm
def test_the_first_updates_of_a_run_drawn_at_random_have_the_losses_of_its_record(tmp_path: Path) -> None:
    record = drawn()
    run = record.run
    alone = cohorts.assemble([run], cohorts.load([run], settings(tmp_path)), settings(tmp_path))
    state = training.begin(alone)
    for _ in range(UPDATES):
        training.advance(alone, state)
    losses = [entry["loss"] for entry in state.histories[0].training]
    expected = [entry["loss"] for entry in record.body["training"][:UPDATES]]
    assert len(losses) == UPDATES
    assert losses == pytest.approx(expected, rel=NEAR), run.describe()


@pytest.mark.whole
@needs_data
@needs_minilm
def test_a_run_drawn_at_random_ends_with_the_numbers_of_its_record(tmp_path: Path) -> None:
    record = drawn()
    run = record.run
    (file,) = cohorts.run_cohort([run], [run], settings(tmp_path), lambda cohort, state: None)
    metric = run.protocol.metric
    scores = {entry["split"]: entry[metric] for entry in records.read(file).body["evaluations"]}
    expected = {entry["split"]: entry[metric] for entry in record.body["evaluations"]}
    assert scores == pytest.approx(expected, abs=NEAR_AT_THE_END), run.describe()
