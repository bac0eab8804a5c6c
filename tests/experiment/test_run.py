"""A run's id follows from all that describes it, from nothing else, and stays the same for good."""

import json
from typing import Any

import pytest

from peftcli.experiment import run as runs
from peftcli.experiment.plan import defaults
from peftcli.experiment.run import Run
from peftcli.experiment.settings import NAMES, WITHOUT_EFFECT, Training
from peftcli.strategies import registry
from tests import tiny


def run(strategy: str = "layernorm", options: dict[str, Any] | None = None, **fields: Any) -> Run:
    training = {**defaults(), "epochs": 3.0, **fields.pop("training", {})}
    given = {"model": "bert-base-uncased", "task": "rte", "learning_rate": 1e-3, "seed": 0, **fields}
    return Run(
        strategy=strategy,
        options=registry.get(strategy).options(options or {}),
        protocol=Training.model_validate(training),
        **given,
    )


def test_ids_do_not_change_with_time() -> None:
    assert run().id == "8296e1283d745edc"
    assert run("full", learning_rate=3e-5, training={"optimizer": "adam", "batch_size": 8}).id == "364cd9131251f7e7"
    assert run("spafit", {"groups": [4, 9], "variant": "II"}, model="bert-large-cased", seed=7).id == "4a5df95e00f5cfdd"
    assert run("random", {"share": 0.005, "draw": "bernoulli"}, model="roberta-base").id == "88df6c7e2eab0e79"


def test_fields_at_their_frozen_value_are_no_part_of_an_id() -> None:
    fields = run().canonical_fields
    assert fields == {
        "schema": 1,
        "model": "bert-base-uncased",
        "task": "rte",
        "strategy": "layernorm",
        "options": {},
        "learning_rate": 1e-3,
        "seed": 0,
        "protocol": {},
    }
    assert run(options={"embedding": False, "layers": None}).id == run().id
    assert run(training={"batch_size": 16, "warmup_ratio": 0.1}).id == run().id


def test_a_changed_default_changes_the_ids_it_changes() -> None:
    changed = run(training={"batch_size": 32})
    assert changed.canonical_fields["protocol"] == {"batch_size": 32}
    assert changed.id != run().id
    assert run(options={"embedding": True}).canonical_fields["options"] == {"embedding": True}


EARLIER = {  # what records hold that were written before the options that are left out here, and their ids
    "lora": (
        {"rank": 8, "alpha": 16.0, "dropout": 0.0, "variant": None, "targets": None, "train_head": True},
        {"b_start": "zero"},
        "12726e165b79ae75",
    ),
    "diffpruning": (
        {"share": 0.005, "over": "all", "penalty": 1.0, "burn_in": 499, "again": None, "keep": "open", "gate_start": 5.0,
         "include_head": False},
        {"decays": "weights"},
        "420d2a0240ca42fc",
    ),
    "adapter": (
        {"placement": "pfeiffer", "size": None, "reduction": 16}, {"wiring": "before_dropout", "up_deviation": 0.0},
        "7cbe7635646a1613",
    ),
    "mixout": (
        {"share": 0.9, "over": "all", "when": "training"}, {"mixes": "everything", "mask": "elements"}, "a796bafb457f0bce",
    ),
}  # fmt: skip


@pytest.mark.parametrize("strategy", EARLIER)
def test_earlier_records_keep_their_ids_and_say_what_they_did(strategy: str) -> None:
    options, meant, earlier = EARLIER[strategy]
    recorded = json.loads(run().model_dump_json()) | {"strategy": strategy, "options": options}
    read = Run.model_validate(recorded)
    assert read.id == earlier
    assert {name: read.options[name] for name in meant} == meant
    assert read.options == registry.get(strategy).options(options | meant)


@pytest.mark.parametrize("strategy", sorted(set(EARLIER) - {"lora"}))  # which by default still does what it did
def test_an_option_s_new_meaning_has_an_id_of_its_own(strategy: str) -> None:
    _, meant, earlier = EARLIER[strategy]
    assert run(strategy).id != earlier
    assert run(strategy, meant).id == earlier


def test_a_new_field_at_its_frozen_value_changes_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run().id
    frozen = json.loads(json.dumps(runs._schema()))
    frozen["options"]["layernorm"]["later"] = False
    monkeypatch.setattr(runs, "_schema", lambda: frozen)
    later = run().model_copy(update={"options": {"layers": None, "embedding": False, "later": False}})
    assert later.id == before
    assert run().model_copy(update={"options": {"later": True}}).id != before


def test_every_part_of_a_run_is_part_of_its_id() -> None:
    others = [
        run(model="roberta-base"),
        run(task="cola"),
        run("bitfit"),
        run(options={"layers": [1]}),
        run(learning_rate=2e-3),
        run(seed=1),
        run(data={"train": "mine.csv"}),
        *(run(training={name: value}) for name, value in _other_settings().items()),
    ]
    ids = [run().id, *(other.id for other in others)]
    assert len(set(ids)) == len(ids)


def _other_settings() -> dict[str, Any]:
    found = {
        "optimizer": "adam", "betas": [0.9, 0.98], "epsilon": 1e-6, "weight_decay": 0.01,
        "weight_decay_spares": "nothing", "max_grad_norm": None,
        "schedule": "constant", "warmup_ratio": 0.0, "schedule_epochs": 9.0, "epochs": 4.0,
        "steps": 5, "minimum_steps": 5, "batch_size": 8, "max_length": 64, "overlong": "drop",
        "evaluate_every": "5 steps", "restore_best": True, "metric": "accuracy", "validation_share": 0.1,
        "validation_split": "fixed", "validation_limit": 5, "train_size": 5, "drop_examples": 0.1,
        "max_train_samples": 5, "dropout": 0.0, "dropout_until": 0.5, "head": "linear", "precision": "float32",
        "compile": True, "accumulate": 4, "evaluate_train": "end", "template": "{first} {second}",
    }  # fmt: skip
    # Some need restore_best too, and words are read in token tasks alone.
    assert set(found) == set(NAMES) - {"early_stopping", "ties", "read_word", *WITHOUT_EFFECT}
    return found


def test_the_choice_among_equal_evaluations_is_part_of_a_run_that_goes_back_to_the_best() -> None:
    restored = {"restore_best": True}
    assert run(training={**restored, "ties": "last"}).id != run(training=restored).id
    assert run(training={**restored, "ties": "first"}).id == run(training=restored).id
    # Elsewhere no weights are chosen in training, and scores are chosen when reporting.
    assert run(training={"ties": "last"}).id == run().id


@pytest.mark.parametrize(
    ("task", "settings", "differs"),
    [
        ("mrpc", {"template": "{first} {second}"}, True),
        ("stsb", {"template": "{first} {second}"}, True),
        ("copa", {"template": "{first} {second}"}, True),
        ("cola", {"template": "{first} {second}"}, False),
        ("wsc", {"template": "{first} {second}"}, False),
        ("conll2003", {"template": "{first} {second}"}, False),
        ("conll2003", {"read_word": "first"}, True),
        ("mrpc", {"read_word": "first"}, False),
    ],
)
def test_how_texts_are_read_is_part_of_the_runs_whose_texts_are_read_so(
    task: str, settings: dict[str, Any], differs: bool
) -> None:
    changed, plain = run(task=task, training=settings), run(task=task)
    assert (changed.id != plain.id) == differs
    assert changed.canonical_fields["protocol"] == (settings if differs else {})
    assert (changed.cohort_key() != plain.cohort_key()) == differs


def test_what_is_computed_again_is_no_part_of_a_run() -> None:
    again = run(training={"checkpoint_activations": True})
    assert again.id == run().id == "8296e1283d745edc"
    assert again.cohort_key() == run().cohort_key()
    # A batch in parts is summed in another order, as by compiled kernels: what it comes to may differ in the last bits.
    assert run(training={"accumulate": 2}).canonical_fields["protocol"] == {"accumulate": 2}


def test_company_leaves_learning_rate_and_seed_out() -> None:
    assert run().cohort_key() == run(learning_rate=5e-5, seed=3).cohort_key()
    assert run().cohort_key() != run(task="cola").cohort_key()
    assert run().cohort_key() != run(training={"batch_size": 8}).cohort_key()


def test_canonical_is_one_byte_sequence() -> None:
    assert runs.canonical({"b": 1e-5, "a": [True, None, "é"]}) == '{"a":[true,null,"é"],"b":1e-05}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        runs.canonical({"a": float("nan")})


def test_a_run_survives_json() -> None:
    first = run("lora", {"rank": 4, "targets": ["query"]}, learning_rate=5e-4)
    again = Run.model_validate(json.loads(first.model_dump_json()))
    assert again == first
    assert again.id == first.id


def test_describe_names_what_differs() -> None:
    assert run().describe() == "rte layernorm lr=0.001 seed=0"
    assert run("spafit", {"groups": "4-9", "variant": "II"}).describe() == (
        "rte spafit:groups=4+9,variant=II lr=0.001 seed=0"
    )


def test_a_changed_copy_has_an_id_of_its_own() -> None:
    run = tiny.run("lora", seed=1)
    first = run.id
    copy = run.model_copy(update={"seed": 2})
    assert copy.id == tiny.run("lora", seed=2).id != first
    assert run.id == run.model_copy().id == run.model_copy(deep=True).id == first
    assert run == tiny.run("lora", seed=1), "what was worked out is no part of a run"
