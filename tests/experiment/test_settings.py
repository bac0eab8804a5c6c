"""A run's settings are taken within their range, at their own type, and only where they agree with each other."""

from typing import Any

import pytest
from pydantic import ValidationError

from peftcli.experiment.plan import defaults
from peftcli.experiment.settings import NAMES, Training

SOUND = {**defaults(), "epochs": 3.0}


def training(**settings: Any) -> Training:
    return Training.model_validate({**SOUND, **settings})


@pytest.mark.parametrize(
    ("setting", "least", "below"),
    [
        ("batch_size", 1, 0),
        ("accumulate", 1, 0),
        ("max_length", 4, 3),
        ("weight_decay", 0.0, -1e-9),
        ("warmup_ratio", 0.0, -1e-9),
        ("epochs", 1e-9, 0.0),
        ("epsilon", 1e-12, 0.0),
        ("dropout_until", 0.0, -1e-9),
        ("steps", 1, 0),
    ],
)
def test_ranges_end_where_they_are_said_to(setting: str, least: float, below: float) -> None:
    assert getattr(training(**{setting: least}), setting) == least
    with pytest.raises(ValidationError, match=setting):
        training(**{setting: below})


@pytest.mark.parametrize(
    ("setting", "most", "above"),
    [
        ("batch_size", 1_000_000, 1_000_001),
        ("epochs", 1e6, 1e6 + 1),
        ("dropout_until", 1.0, 1.0 + 1e-9),
        ("dropout", 0.999, 1.0),
        ("validation_share", 0.999, 1.0),
    ],
)
def test_and_so_do_they_above(setting: str, most: float, above: float) -> None:
    assert getattr(training(**{setting: most}), setting) == most
    with pytest.raises(ValidationError, match=setting):
        training(**{setting: above})


@pytest.mark.parametrize("every", ["1 epoch", "0.1 epochs", ".5 epochs", "500 steps", "1 step"])
def test_intervals_are_a_count_and_its_unit(every: str) -> None:
    assert training(evaluate_every=every).evaluate_every == every


@pytest.mark.parametrize("every", ["epoch", "1epoch", "-1 epochs", "1 minute", "0 epochs", "0.0 steps", "1.5 steps"])
def test_other_intervals_are_refused(every: str) -> None:
    with pytest.raises(ValidationError, match="evaluate_every"):
        training(evaluate_every=every)


def test_nothing_is_converted_and_nothing_left_out() -> None:
    for setting, value in (("batch_size", 8.0), ("batch_size", "8"), ("restore_best", 1), ("betas", [0.9]), ("x", 1)):
        with pytest.raises(ValidationError, match=setting):
            training(**{setting: value})
    for name in NAMES:
        with pytest.raises(ValidationError, match="Field required"):
            Training.model_validate({key: value for key, value in SOUND.items() if key != name})


def test_stopping_early_needs_the_best_weights() -> None:
    assert training(early_stopping=3, restore_best=True).early_stopping == 3
    with pytest.raises(ValidationError, match="early_stopping needs restore_best: true"):
        training(early_stopping=3)


def test_compiled_kernels_and_activations_computed_again_are_not_had_together() -> None:
    assert training(compile=True).compile
    assert training(checkpoint_activations=True).checkpoint_activations
    with pytest.raises(ValidationError, match="compile: true: not with checkpoint_activations: true; legal: false"):
        training(compile=True, checkpoint_activations=True)


def test_every_setting_says_what_it_means() -> None:
    for name, field in Training.model_fields.items():
        assert (field.description or "").endswith("."), name


@pytest.mark.parametrize("template", [None, "{first}\n{second}", "{second} {first}"])
def test_templates_have_both_texts(template: str | None) -> None:
    assert training(template=template).template == template
    with pytest.raises(ValidationError, match=r"template\n.*has no \{second\}"):
        training(template="{first}")
