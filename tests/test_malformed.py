"""A hundred malformed recipes, and as many malformed records: exit code 2 and one line, never a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from peftcli import records
from peftcli.experiment import plan
from peftcli.experiment.recipe import load
from tests import folders, written_records
from tests.commandline import runner

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
# What no key of a recipe takes, each in its own way.
WRONG = st.sampled_from(
    [None, [], {}, "", "nonesuch", -1, 0.5, [[]], [None], {"x": {"y": 1}}, [{"layernorm": 3}], float("nan"), "../../x"]
)
HUNDRED = settings(
    max_examples=100, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path, tiny_folder: Path) -> Path:
    return folders.recipe(tmp_path / "small.yaml", tiny_folder)


@HUNDRED
@given(data=st.data())
def test_recipes_with_a_wrong_value(
    data: st.DataObject,
    file: Path,
    tiny_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = json.loads(folders.recipe(file, tiny_folder).read_text())
    key = data.draw(
        st.sampled_from(["model", "tasks", "strategies", "learning_rates", "seeds", "training", "surprise"])
    )
    if key == "training":
        setting = data.draw(
            st.sampled_from(["epochs", "batch_size", "optimizer", "evaluate_every", "betas", "surprise"])
        )
        document["training"][setting] = data.draw(st.sampled_from([[], {}, "x", -1, [1], {"a": 1}]))
    elif key in ("learning_rates", "seeds"):
        document[key] = data.draw(
            st.sampled_from([None, [], {}, "x", -1, [-1], ["x"], [None], [[0]], [1, 1], [float("inf")]])
        )
    else:
        document[key] = data.draw(WRONG.filter(lambda wrong: wrong is not None and (key != "surprise" or wrong != {})))
    file.write_text(yaml.safe_dump(document))
    ended = runner(monkeypatch, capsys)("plan", file, "--output", file.parent / "out")
    assert ended.is_one_line, ended


@HUNDRED
@given(content=ANYTHING.map(yaml.safe_dump) | st.text(max_size=60) | st.binary(max_size=60))
def test_recipes_that_are_anything(
    content: str | bytes, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    for command in ("plan", "sweep", "report"):
        ended = runner(monkeypatch, capsys)(command, file, "--output", file.parent / "out")
        assert ended.is_one_line, ended
    assert not (file.parent / "out").exists()


def malformed(data: st.DataObject, body: dict[str, Any]) -> bytes:
    """A record that no run left: a wrong value anywhere, with a checksum that is right, or none."""
    part, key = body, data.draw(st.sampled_from(sorted(body)))
    while isinstance(part[key], dict) and part[key] and data.draw(st.booleans()):
        part = part[key]
        key = data.draw(st.sampled_from(sorted(part)))
    part[key] = data.draw(st.sampled_from([[], {}, "x", -1, 1.5, True, [1], [{}], {"a": []}]))
    encoded = records.encode(body)
    return encoded if data.draw(st.integers(0, 3)) else encoded.replace(b'"status"', b'"Status"')


@pytest.mark.whole  # tests/records holds kinds of damage one by one
@HUNDRED
@given(data=st.data())
def test_records(
    data: st.DataObject, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = file.parent / "out"
    run = plan.expand(load(file))[0].run
    with written_records.unsynced():
        record = written_records.write(output, run, {"validation": {"accuracy": 0.5}})
    content = malformed(data, records.read(record).body)
    record.write_bytes(content)
    for command in ("plan", "report"):
        ended = runner(monkeypatch, capsys)(command, file, "--output", output)
        assert ended.code == 0 or ended.is_one_line, (command, ended)
    with monkeypatch.context() as patch:
        patch.setattr("peftcli.runner.sweep.train", lambda *_: [])
        ended = runner(patch, capsys)("sweep", file, "--output", output, "--cohort", "1")
    assert ended.code == 1 or ended.is_one_line, ended
    assert record.read_bytes() == content
