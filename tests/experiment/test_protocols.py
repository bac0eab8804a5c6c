"""Every setting of a paper's protocol has a value and a source, and every guess says why."""

import functools
from pathlib import Path
from typing import Any

import pytest
import yaml

from peftcli.errors import UserError
from peftcli.experiment import protocols, recipe
from peftcli.experiment.plan import defaults
from peftcli.experiment.protocols import Override, Protocol, Setting
from peftcli.experiment.settings import NAMES, Training
from peftcli.strategies import registry
from peftcli.tasks.registry import TASKS

PAPERS = ("transferability", "freezing", "effectiveness", "spafit")
READINGS = [
    ("transferability", "described"),
    *((paper, reading) for paper in PAPERS[1:] for reading in ("described", "released")),
]


def file(paper: str) -> Path:
    return recipe.root() / paper / "protocol.yaml"


@functools.cache  # a protocol takes a while to read, and is looked at for every task of every recipe
def load(paper: str, reading: str) -> Protocol:
    return protocols.load(file(paper), reading)


def value(paper: str, reading: str, setting: str, task: str = "rte", strategy: str = "layernorm") -> Any:
    settings: dict[str, Setting] = {}
    for _, training, options in load(paper, reading).layers(reading, task, strategy):
        settings |= training | options
    return settings[setting].value


@pytest.mark.parametrize(("paper", "reading"), READINGS)
def test_every_setting_has_a_value_and_a_source(paper: str, reading: str) -> None:
    protocol = load(paper, reading)
    assert set(protocol.training) == set(NAMES)
    assert protocol.paper == paper
    values = {name: setting.value for name, setting in protocol.training.items()}
    floats = {name: float(v) if name == "epochs" else v for name, v in values.items()}
    Training.model_validate(floats)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_guess_and_every_reading_of_the_text_says_why(paper: str) -> None:
    protocol = load(paper, "described")
    overrides = [*protocol.overrides, *(o for v in protocol.variants.values() for o in v.overrides)]
    blocks = [protocol.training, *(o.training for o in overrides), *(o.options for o in overrides)]
    for block in [*blocks, *(v.training for v in protocol.variants.values())]:
        for name, setting in block.items():
            if setting.source in ("assumed", "derived"):
                assert setting.note, name


@pytest.mark.parametrize("paper", PAPERS)
def test_overrides_name_tasks_strategies_and_options_that_exist(paper: str) -> None:
    protocol = load(paper, "described")
    for override in [*protocol.overrides, *(o for v in protocol.variants.values() for o in v.overrides)]:
        assert override.tasks or override.strategies
        assert override.training or override.options
        assert set(override.tasks or ()) <= set(TASKS)
        for strategy in override.strategies or ():
            assert set(override.options) <= set(registry.get(strategy).option_names)


@pytest.mark.parametrize("paper", PAPERS)
def test_the_metric_of_every_task_is_one_that_it_has(paper: str) -> None:
    for name in recipe.shipped():
        if name.startswith(paper):
            for task, _ in recipe.load(recipe.find(name)).tasks:
                assert value(paper, "described", "metric", task) in TASKS[task].metrics


def test_readings_differ_where_text_and_code_do() -> None:
    assert value("freezing", "described", "dropout_until") == 0.1
    assert value("freezing", "released", "dropout_until") == 1.0
    assert value("effectiveness", "described", "steps") == 20_000
    assert value("effectiveness", "released", "steps") is None
    assert value("effectiveness", "described", "when", strategy="mixout") == "training"
    assert value("effectiveness", "released", "when", strategy="mixout") == "evaluation"
    adapter = ("placement", "wiring", "up_deviation")
    for _, reading in READINGS[-2:]:
        chosen = [value("effectiveness", reading, name, strategy="adapter") for name in adapter]
        assert chosen == ["pfeiffer", "published", 0.02]
    mixout = ("mixes", "mask", "dropout")
    assert [value("effectiveness", "described", name, strategy="mixout") for name in mixout] == [
        "linear",
        "columns",
        0.0,
    ]
    assert [value("effectiveness", "released", name, strategy="mixout") for name in mixout] == [
        "everything",
        "elements",
        None,
    ]
    assert value("effectiveness", "described", "dropout", strategy="full") is None
    assert value("effectiveness", "released", "batches", strategy="sam") == 599
    assert value("effectiveness", "described", "choice", strategy="sam") == "model"
    assert value("effectiveness", "described", "burn_in", strategy="magpruning") is None
    assert value("effectiveness", "released", "burn_in", strategy="magpruning") == 499
    assert value("effectiveness", "described", "train_head", strategy="lora") is True
    assert value("effectiveness", "released", "train_head", strategy="lora") is False
    assert value("effectiveness", "described", "include_head", strategy="diffpruning") is False
    assert value("effectiveness", "released", "include_head", strategy="diffpruning") is True
    assert value("effectiveness", "released", "keep", strategy="diffpruning") == "decided"
    assert value("effectiveness", "described", "gate_start", strategy="diffpruning") == 5.0
    assert value("effectiveness", "released", "gate_start", strategy="diffpruning") == "drawn"
    assert {value("effectiveness", reading, "decays", strategy="diffpruning") for _, reading in READINGS[-2:]} == {
        "difference"
    }
    lora = {name: value("effectiveness", "released", name, strategy="lora") for name in ("rank", "alpha", "b_start")}
    assert lora == {"rank": 16, "alpha": 1.0, "b_start": "uniform"}
    assert value("effectiveness", "described", "b_start", strategy="lora") == "zero"
    assert value("spafit", "described", "numbering", strategy="spafit") == "described"
    assert value("spafit", "released", "numbering", strategy="spafit") == "released"


def test_what_the_papers_state_is_what_is_used() -> None:
    transferability = ("transferability", "described")
    assert value(*transferability, "epsilon") == 1e-6
    assert value(*transferability, "epochs") == 20
    assert value(*transferability, "epochs", "qnli") == 10
    assert value(*transferability, "epochs", "qnli", "full") == 5
    assert value(*transferability, "epochs", "rte", "full") == 5
    assert value(*transferability, "metric", "stsb") == "spearman"
    freezing = ("freezing", "described")
    assert (value(*freezing, "batch_size"), value(*freezing, "evaluate_every")) == (8, "0.1 epochs")
    assert (value(*freezing, "schedule"), value(*freezing, "validation_share")) == ("constant", 0.2)
    assert (value(*freezing, "ties"), value("freezing", "released", "ties")) == ("last", "last")
    assert value(*freezing, "share", "cola", "random") == 0.001
    assert value(*freezing, "embedding", "cola", "layernorm") is True
    effectiveness = ("effectiveness", "described")
    assert (value(*effectiveness, "metric", "mrpc"), value(*effectiveness, "max_length")) == ("mean_accuracy_f1", 256)
    assert value(*effectiveness, "metric", "stsb") == "mean_pearson_spearman"
    assert (value(*effectiveness, "ties"), value("effectiveness", "released", "ties")) == ("first", "first")
    spafit = ("spafit", "released")
    assert (value(*spafit, "batch_size", "mnli"), value(*spafit, "batch_size", "cola")) == (8, 16)
    assert (value(*spafit, "rank", "cola", "spafit"), value(*spafit, "alpha", "cola", "lora")) == (64, 128.0)
    assert (value(*spafit, "metric", "stsb"), value(*spafit, "metric", "qqp")) == ("pearson", "accuracy")


@pytest.mark.parametrize(("paper", "reading"), READINGS)
def test_every_paper_trained_in_float32(paper: str, reading: str) -> None:
    layers = load(paper, reading).layers(reading, "rte", "full")
    (precision,) = (training["precision"] for _, training, _ in layers if "precision" in training)
    assert (precision.value, precision.source) == (
        "float32",
        {"freezing": "code", "effectiveness": "code", "spafit": "derived", "transferability": "derived"}[paper],
    )


def test_defaults_have_every_setting_and_no_other() -> None:
    assert set(defaults()) == set(NAMES)


def test_an_override_fits_only_where_both_its_lists_do() -> None:
    both = Override(tasks=["rte"], strategies=["full"])
    assert both.fits("rte", "full")
    assert not both.fits("rte", "bitfit")
    assert not both.fits("cola", "full")
    assert Override(tasks=["rte"]).fits("rte", "anything")
    assert Override().fits("cola", "bitfit")


def small(**changes: Any) -> dict[str, Any]:
    setting = {"value": 3, "source": "stated"}
    return {"paper": "p", "title": "t", "training": {"epochs": setting}, "variants": {"described": {}}, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"epochs": {"value": 3}}}, "key 'source' is missing"),
        ({"training": {"epochs": 3}}, "training.epochs: '3'"),
        ({"training": {"epochs": {"value": 3, "source": "guessed"}}}, "unknown value 'guessed'"),
        ({"training": {"epoch": {"value": 3, "source": "stated"}}}, "unknown setting 'epoch': did you mean 'epochs'"),
        ({"overrides": [{"training": {"epoch": {"value": 3, "source": "code"}}}]}, "unknown setting 'epoch'"),
        ({"overrides": [{"task": ["rte"]}]}, "unknown key 'task'"),
        ({"settings": {}}, "unknown key 'settings'"),
        ({"variants": {"described": {"training": {"x": {"value": 1, "source": "code"}}}}}, "unknown setting 'x'"),
    ],
)
def test_bad_protocols_are_refused_in_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "protocol.yaml"
    path.write_text(yaml.safe_dump(small(**changes)))
    with pytest.raises(UserError) as caught:
        protocols.load(path, "described")
    assert message in str(caught.value)


def test_a_reading_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="unknown protocol 'released': known: described"):
        protocols.load(file("transferability"), "released")
    with pytest.raises(UserError, match="unknown protocol 'release': did you mean 'released'"):
        protocols.load(file("freezing"), "release")
