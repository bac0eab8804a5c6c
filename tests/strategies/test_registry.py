"""Every strategy has its options, checked and frozen; a new one is a single function."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import peftcli.strategies
from peftcli.cli import listing
from peftcli.errors import UserError
from peftcli.experiment import parameters as counting
from peftcli.experiment import plan, recipe
from peftcli.models.anatomy import Anatomy
from peftcli.strategies import registry
from peftcli.strategies.option_types import Layers
from peftcli.strategies.tuning import Elements, Mask, Tuning
from tests import folders, tiny, trained
from tests.strategies.published import REQUIRED, bert

SCHEMA: dict[str, Any] = json.loads((Path(registry.__file__).parents[1] / "experiment/schema.json").read_text())
NAMES = (
    "full", "frozen", "multihead", "feedforward", "layernorm", "layernorm_attention", "layernorm_ffn", "bitfit",
    "random", "layernorm_outlier", "layernorm_random", "magpruning", "sam", "initbias_bitfit", "reinit_bitfit",
    "mixout", "childpruning", "lora", "adapter", "spafit", "diffpruning", "gradient",
)  # fmt: skip


def test_every_strategy_of_the_papers_is_there_with_a_summary() -> None:
    assert set(NAMES) <= set(peftcli.strategies.STRATEGIES)
    for strategy in peftcli.strategies.STRATEGIES.values():
        assert strategy.summary.endswith((".", ")")), strategy.name


CHANGED: dict[str, dict[str, Any]] = {  # defaults that are no longer what earlier records did: such runs have other ids
    "adapter": {"wiring": "published", "up_deviation": 0.02},
    "mixout": {"mixes": "linear", "mask": "columns"},
    "diffpruning": {"decays": "difference"},
}


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_frozen_or_required(name: str) -> None:
    strategy = registry.get(name)
    frozen = SCHEMA["options"].get(name, {})
    required = [field for field in strategy.option_names if strategy.option_model.model_fields[field].is_required()]
    assert set(strategy.option_names) == {*frozen, *required}
    defaults = {k: v for k, v in strategy.options(REQUIRED.get(name, {})).items() if k not in required}
    assert defaults == frozen | CHANGED.get(name, {})
    assert all(defaults[option] != frozen[option] for option in CHANGED.get(name, {}))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("layernorm", {"layer": 7}, "unknown option 'layer': did you mean 'layers'? known: layers, embedding"),
        ("layernorm_outlier", {}, "option 'n' is missing"),
        ("full", {"share": 0.1}, "unknown option 'share': known: none"),
    ],
)
def test_options_that_a_strategy_lacks_or_needs_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        registry.get(name).options(options)
    assert message in str(caught.value)


def test_an_unknown_strategy_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown strategy 'layrnorm': did you mean 'layernorm'"):
        registry.get("layrnorm")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("layernorm", {"layers": [99]}, "layer 99 does not exist: the nearest is 12; layers are 1 to 12"),
        ("layernorm_outlier", {"n": 100_000}, "the nearest is 1536"),
        ("random", {"count": 10, "share": 0.1}, "a count or a share, not both"),
        ("random", {"count": 200_000_000}, "the nearest is 109482240"),
        ("random", {"count": 1538, "include_head": True}, "legal are 1539 to"),
        ("childpruning", {"share": 1e-9}, "selects nothing"),
        ("diffpruning", {"share": 1e-9}, "selects nothing"),
        ("gradient", {"share": 1e-9}, "selects nothing"),
        ("gradient", {"share": 1e-9, "choice": "tensor"}, "selects nothing"),
        ("magpruning", {"share": 1e-9}, "selects nothing"),
        ("lora", {"variant": "I", "targets": ["query"]}, "a variant or targets, not both"),
        ("adapter", {"reduction": 1000}, "leaves a bottleneck of nothing"),
        ("spafit", {"groups": [9, 4]}, "must rise"),
        ("spafit", {"groups": [4, 11]}, "must rise and leave an upper group"),
    ],
)
def test_what_a_model_cannot_satisfy_is_refused(name: str, options: dict[str, Any], message: str) -> None:
    strategy = registry.get(name)
    with pytest.raises(UserError) as caught:
        strategy.tune(bert(), strategy.options(options))
    assert message in str(caught.value)


@pytest.fixture
def made_up() -> Iterator[registry.Strategy]:
    @registry.strategy
    def values_only(model: Anatomy, layers: Layers | None = None) -> Mask:
        """The value layers alone."""
        return model.names(("value",), layers)

    yield registry.get("values_only")
    del registry.STRATEGIES["values_only"]


def test_a_made_up_strategy_is_one_function(made_up: registry.Strategy, tmp_path: Path) -> None:
    """Registered, it is listed, counted, planned and trained; no other file has heard of it."""
    assert made_up.options({"layers": "3"}) == {"layers": [3]}
    tuning = made_up.tune(bert(), {"layers": [3]})
    assert tuning.mask == ("encoder.layer.2.attention.self.value.weight", "encoder.layer.2.attention.self.value.bias")
    assert counting.count("bert-base-uncased", "values_only", {"layers": [3]}, "pair", 2).trainable == 768 * 768 + 768
    assert {"name": "values_only", "summary": "The value layers alone."}.items() <= next(
        row for row in listing.rows("strategies") if row["name"] == "values_only"
    ).items()
    document = {"title": "t", "model": "minilm", "tasks": ["rte"], "learning_rates": [1e-3], "seeds": 1}
    loaded = recipe.build({**document, "strategies": ["values_only:layers=3"]}, Path("values.yaml"), {})
    assert plan.expand(loaded)[0].run.options == {"layers": [3]}
    cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("values_only", options={"layers": [2]})])
    tiny.trained(cohort)
    assert cohort.assembly.counts == (16 * 16 + 16,)
    base = folders.bert(tmp_path / "base")
    (record,) = trained.train(tmp_path, base, {"values_only": {"layers": [2]}})
    assert record.status == "completed"
    moved = {name for name in trained.delta(record).names() if not name.startswith("head.")}
    assert moved == {"encoder.layer.1.attention.self.value.weight", "encoder.layer.1.attention.self.value.bias"}


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_tunes_bert_without_weights(name: str) -> None:
    strategy = registry.get(name)
    tuning = strategy.tune(bert(), strategy.options(REQUIRED.get(name, {})))
    assert isinstance(tuning, Tuning)
    assert bool(tuning.mask or tuning.insert) == (name != "frozen")
    known = bert().by_name
    for entry in tuning.mask:
        for tensor in entry.names if isinstance(entry, Elements) else (entry,):
            assert tensor in known
