"""A run counts as recorded only while model, tokenizer and data are what its record was made from."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from peftcli import records
from peftcli.cli import train as training_command
from peftcli.data import loading
from peftcli.engine import backbone
from peftcli.errors import UserError
from peftcli.runner import comparing, work
from peftcli.runner.work import SweepSettings
from tests import folders, trained, written_records
from tests.material import write_split
from tests.runner.sweeps import runs, swept

WORDS = {"sentence1": ["a car", "a hat"] * 4, "sentence2": ["the car", "the hat"] * 4, "label": [0, 1] * 4}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A data folder with a small wnli; and a recipe of it on a model in `a/checkpoint-500`."""
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    for split in ("train", "validation"):
        write_split(tmp_path / "data" / "glue" / "wnli", split, {**WORDS, "idx": list(range(8))})
    model = folders.bert(tmp_path / "a" / "checkpoint-500")
    settings = {"steps": 2, "batch_size": 4, "max_length": 32}
    changes = {"tasks": ["wnli"], "strategies": ["layernorm"], "learning_rates": [1e-3], "training": settings}
    return tmp_path / "data", folders.recipe(tmp_path / "small.yaml", model, **changes)


def again(recipe: Path, output: Path, data: Path) -> int:
    """Sweep as a process of its own would: nothing is remembered but what is on disk."""
    backbone.load.cache_clear()
    loading._tokenised.cache_clear()
    return swept(recipe, output, data_dir=data, allow_other_data=True)


def _other_weights(recipe: Path, data: Path) -> None:
    model = recipe.parent / "a" / "checkpoint-500"
    was = (model / "model.safetensors").stat()
    folders.bert(model, seed=5)
    # Copied with its time, as `cp -p` and `rsync -a` do.
    assert (model / "model.safetensors").stat().st_size == was.st_size
    os.utime(model / "model.safetensors", ns=(was.st_atime_ns, was.st_mtime_ns))


def _other_folder(recipe: Path, data: Path) -> None:
    document = json.loads(recipe.read_text())
    model = folders.bert(recipe.parent / "b" / "checkpoint-500", seed=5)
    recipe.write_text(json.dumps({**document, "model": str(model)}))


def _other_tokenizer(recipe: Path, data: Path) -> None:
    file = recipe.parent / "a" / "checkpoint-500" / "tokenizer.json"
    content = json.loads(file.read_text())
    words = list(content["model"]["vocab"])
    content["model"]["vocab"] = {word: at for at, word in enumerate([*words[:-2], words[-1], words[-2]])}
    file.write_text(json.dumps(content))


def _more_data(recipe: Path, data: Path) -> None:
    more = {name: column * 2 for name, column in WORDS.items()}
    write_split(data / "glue" / "wnli", "train", {**more, "idx": list(range(16))})


def _other_labels(recipe: Path, data: Path) -> None:
    write_split(data / "glue" / "wnli", "validation", {**WORDS, "label": [1, 0] * 4, "idx": list(range(8))})


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("model", _other_weights),
        ("model", _other_folder),
        ("tokenizer", _other_tokenizer),
        ("data", _more_data),
        ("data", _other_labels),
    ],
)
def test_what_changed_under_the_same_name_is_refused(
    kind: str, change: Callable[[Path, Path], None], small: tuple[Path, Path], tmp_path: Path
) -> None:
    data, recipe = small
    assert again(recipe, tmp_path / "out", data) == 0
    assert again(recipe, tmp_path / "out", data) == 0
    change(recipe, data)
    message = rf"layernorm-\w+\.json was made with another {kind} of the same name: its fingerprint is [0-9a-f]{{16}}, "
    with pytest.raises(UserError, match=message + r"and that of \S+.* is [0-9a-f]{16}: use another --output, or move"):
        again(recipe, tmp_path / "out", data)
    # Half of them moved away: the rest would fill the same cell.
    records.path(tmp_path / "out", runs(recipe)[0]).unlink()
    with pytest.raises(UserError, match=f"another {kind} of the same name"):
        again(recipe, tmp_path / "out", data)
    assert again(recipe, tmp_path / "elsewhere", data) == 0


def test_train_refuses_it_as_a_sweep_does(small: tuple[Path, Path], tmp_path: Path) -> None:
    data, recipe = small
    model = str(recipe.parent / "a" / "checkpoint-500")
    planned = training_command.plan_runs("layernorm", "wnli", model, "1e-3", ["0"], ["steps=1", "max_length=32"])
    settings = SweepSettings(model, tmp_path / "out", data, allow_other_data=True)
    assert training_command._train(planned, settings, again=False) == 0
    _other_weights(recipe, data)
    backbone.load.cache_clear()  # as in a process of its own
    for anew in (False, True):
        with pytest.raises(UserError, match="another model of the same name"):
            training_command._train(planned, settings, again=anew)


def test_nothing_is_read_again_where_no_file_changed(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, recipe = small
    assert again(recipe, tmp_path / "out", data) == 0

    def never(*_: object, **__: object) -> None:
        raise AssertionError("read again")

    for module, name in ((backbone, "load"), (loading, "read"), (comparing.tokenizers, "of_model")):
        monkeypatch.setattr(module, name, never)
    assert swept(recipe, tmp_path / "out", data_dir=data) == 0


def test_a_cold_cache_reads_everything_once(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, recipe = small
    assert again(recipe, tmp_path / "out", data) == 0
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cold"))
    assert again(recipe, tmp_path / "out", data) == 0
    assert len(list((tmp_path / "cold" / "fingerprints").iterdir())) == 3
    _other_weights(recipe, data)
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "colder"))
    with pytest.raises(UserError, match="another model of the same name"):
        again(recipe, tmp_path / "out", data)


@pytest.mark.parametrize("lost", ["data", "model"])
def test_what_is_not_here_is_said_and_stops_nothing(
    lost: str, small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, recipe = small
    assert again(recipe, tmp_path / "out", data) == 0
    shutil.rmtree(data if lost == "data" else tmp_path / "a")
    capsys.readouterr()
    settings = SweepSettings(str(tmp_path / "a" / "checkpoint-500"), tmp_path / "out", data)
    planned = runs(recipe) if lost == "data" else [r.run for r in records.read_all(tmp_path / "out")[0]]
    assert work.missing(planned, settings, retry_failed=False) == frozenset()
    said = capsys.readouterr().err
    assert said.startswith("records not compared with what is here now: ")
    assert said.count("does not exist") == said.count("\n") == 1


def test_an_older_record_says_less_and_is_recorded_all_the_same(
    small: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, recipe = small
    settings = SweepSettings(str(tmp_path / "a" / "checkpoint-500"), tmp_path / "out", data)
    for run in runs(recipe):
        written_records.write(tmp_path / "out", run, {"validation": {"accuracy": 0.5}}, data={"sizes": {"train": 8}})
    assert work.missing(runs(recipe), settings, retry_failed=False) == frozenset()
    assert capsys.readouterr().err == ""


def test_changed_data_of_one_s_own_is_another_run(tmp_path: Path, tiny_folder: Path) -> None:
    rows = trained.write_rows(tmp_path / "mine")
    task = {"name": "mine", "data": str(rows), "text": ["sentence1"], "label": "y"}
    recipe = folders.recipe(tmp_path / "own.yaml", tiny_folder, tasks=[task], strategies=["layernorm"])
    before = runs(recipe)
    for run in before:
        written_records.write(tmp_path / "out", run, {"validation": {"accuracy": 0.5}}, data={"fingerprint": "0" * 16})
    settings = SweepSettings(str(tiny_folder), tmp_path / "out")
    assert work.missing(before, settings, retry_failed=False) == frozenset()
    trained.write_rows(tmp_path / "mine", {"train": 47, "validation": 24})
    after = runs(recipe)
    assert work.missing(after, settings, retry_failed=False) == {run.id for run in after}
