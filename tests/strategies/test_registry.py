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
from peftcli.models.anatomy import Anatomy, anatomy
from peftcli.models.catalogue import PUBLISHED_SIZES
from peftcli.models.heads import parameters
from peftcli.strategies import STRATEGIES, registry
from peftcli.strategies.option_types import Layers
from peftcli.strategies.tuning import Elements, Injection, Mask, Tuning, trains_whole_matrices
from tests import folders, tiny, trained

SCHEMA: dict[str, Any] = json.loads((Path(registry.__file__).parents[1] / "experiment/schema.json").read_text())
NAMES = (
    "full", "frozen", "multihead", "feedforward", "layernorm", "layernorm_attention", "layernorm_ffn", "bitfit",
    "random", "layernorm_outlier", "layernorm_random", "magpruning", "sam", "initbias_bitfit", "reinit_bitfit",
    "mixout", "childpruning", "lora", "adapter", "spafit", "diffpruning",
)  # fmt: skip

REQUIRED: dict[str, dict[str, Any]] = {  # options without a default
    "layernorm_outlier": {"n": 4},
    "layernorm_random": {"n": 4},
    "spafit": {"groups": [4, 9]},
}
WHOLE = ("full", "feedforward", "multihead", "mixout", "childpruning", "diffpruning")


def bert() -> Anatomy:
    config = PUBLISHED_SIZES["bert-base-uncased"]
    return anatomy(config, parameters(config, "sentence", 2, "stock"), pooler=True)


def test_every_strategy_of_the_papers_is_there_with_a_summary() -> None:
    assert set(NAMES) <= set(peftcli.strategies.STRATEGIES)
    for strategy in peftcli.strategies.STRATEGIES.values():
        assert strategy.summary.endswith((".", ")")), strategy.name


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_frozen_or_required(name: str) -> None:
    strategy = registry.get(name)
    frozen = SCHEMA["options"].get(name, {})
    required = [field for field in strategy.option_names if strategy.option_model.model_fields[field].is_required()]
    assert set(strategy.option_names) == {*frozen, *required}
    assert {k: v for k, v in strategy.options(REQUIRED.get(name, {})).items() if k not in required} == frozen


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("layernorm", {"layer": 7}, "unknown option 'layer': did you mean 'layers'? known: layers, embedding"),
        ("layernorm", {"layers": []}, "layers: '[]'"),
        ("layernorm", {"layers": [0]}, "layers.0: 0 is out of range: the nearest is 1"),
        ("layernorm", {"layers": "one"}, "'one' should be a valid integer"),
        ("layernorm", {"embedding": "yes"}, "embedding: 'yes' should be a valid boolean"),
        ("layernorm_outlier", {}, "option 'n' is missing"),
        ("layernorm_outlier", {"n": 0}, "n: 0 is out of range: the nearest is 1"),
        ("layernorm_outlier", {"n": True}, "'True' should be a valid integer"),
        ("random", {"share": 1.5}, "share: 1.5 is out of range: the nearest is 1.0"),
        ("random", {"share": float("nan")}, "share: 'nan'"),
        ("random", {"draw": "some"}, "unknown value 'some'"),
        ("lora", {"alpha": True}, "alpha: 'True'"),
        ("diffpruning", {"gate_start": float("inf")}, "gate_start: 'inf'"),
        ("spafit", {"groups": [4]}, "groups: '[4]'"),
        ("full", {"share": 0.1}, "unknown option 'share': known: none"),
    ],
)
def test_bad_options_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        registry.get(name).options(options)
    assert message in str(caught.value)


def test_an_unknown_strategy_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown strategy 'layrnorm': did you mean 'layernorm'"):
        registry.get("layrnorm")


@pytest.mark.parametrize(
    ("text", "layers"), [(7, [7]), ("5-8", [5, 6, 7, 8]), ("1+3-4", [1, 3, 4]), ("12", [12]), ([2, 1], [2, 1])]
)
def test_layers_are_read_as_people_write_them(text: object, layers: list[int]) -> None:
    assert registry.get("layernorm").options({"layers": text})["layers"] == layers


def test_whole_numbers_are_floats_where_an_option_is_one() -> None:
    assert repr(registry.get("lora").options({"alpha": 128})["alpha"]) == "128.0"
    assert registry.get("spafit").options({"groups": "4-9"})["groups"] == [4, 9]


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


def values_only(model: Anatomy, layers: Layers | None = None) -> Mask:
    """The value layers alone."""
    return model.names(("value",), layers)


@pytest.fixture
def made_up() -> Iterator[registry.Strategy]:
    registry.strategy(values_only)
    yield registry.get("values_only")
    del registry.STRATEGIES["values_only"]


def test_a_made_up_strategy_is_one_function(
    made_up: registry.Strategy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Registered, it is listed, counted, planned and trained; no other file has heard of it."""
    assert made_up.options({"layers": "3"}) == {"layers": [3]}
    tuning = made_up.tune(bert(), {"layers": [3]})
    assert tuning.mask == ("encoder.layer.2.attention.self.value.weight", "encoder.layer.2.attention.self.value.bias")
    assert counting.count("bert-base-uncased", "values_only", {"layers": [3]}, "pair", 2).trainable == 768 * 768 + 768
    assert {"name": "values_only", "summary": "The value layers alone."}.items() <= next(
        row for row in listing.rows("strategies") if row["name"] == "values_only"
    ).items()
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


@pytest.mark.parametrize("name", [name for name in peftcli.strategies.STRATEGIES if name != "peft"])
def test_whole_matrices_move_in_full_fine_tuning_and_its_kin(name: str) -> None:
    strategy = registry.get(name)
    tuning = strategy.tune(bert(), strategy.options(REQUIRED.get(name, {})))
    assert trains_whole_matrices(tuning, bert()) == (name in WHOLE)


def test_whole_matrices_move_where_magnitude_pruning_burns_in_and_not_in_a_method_of_the_peft_package() -> None:
    magpruning = registry.get("magpruning")
    assert trains_whole_matrices(magpruning.tune(bert(), magpruning.options({"burn_in": 500})), bert())
    injected = Tuning(
        injected=Injection("peft type LORA", {"lora_A.weight": (8, 768)}, lambda backbone, seed: backbone)
    )
    assert not trains_whole_matrices(injected, bert())


def test_a_new_strategy_is_one_function():
    @registry.strategy
    def made_up(model, only: int = 1):
        """The output layer of one layer."""
        return model.names(("output",), [only])

    try:
        cohort = tiny.cohort(tiny.backbone("bert"), [tiny.run("made_up", options={"only": 2})])
        tiny.trained(cohort)
        assert cohort.assembly.counts == (16 * 24 + 16,)
        document = {"title": "t", "model": "minilm", "tasks": ["rte"], "learning_rates": [1e-3], "seeds": 1}
        made = recipe.build({**document, "strategies": ["made_up:only=3"]}, Path("made_up.yaml"), {})
        assert plan.expand(made)[0].run.options == {"only": 3}
    finally:
        del STRATEGIES["made_up"]
