"""One step with another library's modules shows what they cannot do with a model, and leaves no trace where they can."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.data.loading import prepare
from peftcli.errors import UserError
from peftcli.experiment import plan, recipe
from peftcli.experiment.run import Run
from peftcli.preflight import rehearsal
from tests import folders


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    return str(folders.bert(tmp_path / "model"))


def run_of(model: str, strategy: dict[str, Any]) -> Run:
    """The first run of a small recipe with this strategy alone."""
    file = folders.recipe(Path(model).parent / "one.yaml", Path(model), strategies=[strategy])
    return plan.expand(recipe.load(file))[0].run


def rehearse(model: str, **settings: Any) -> None:
    """Rehearse a method of the peft package on the demo task."""
    run = run_of(model, {"peft": settings})
    assert rehearsal.is_due(run)
    rehearsal.rehearse(model, run, prepare(run, model))


@pytest.mark.parametrize("settings", [{"type": "IA3"}, {"type": "PROMPT_TUNING", "num_virtual_tokens": 3}])
@pytest.mark.filterwarnings("ignore:Token type ids")
def test_what_can_be_trained_is_taken(settings: dict[str, Any], model: str) -> None:
    rehearse(model, **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"type": "TRAINABLE_TOKENS"}, r"type = TRAINABLE_TOKENS cannot train .* on demo, .*: RuntimeError: cannot"),
        # Longer with its prompt than the model has positions for.
        ({"type": "PROMPT_TUNING", "num_virtual_tokens": 39}, r"longest example has \d+ word pieces: RuntimeError"),
        ({"type": "LORA", "init_lora_weights": "pissa"}, "changes pre-trained weights"),
    ],
)
@pytest.mark.filterwarnings("ignore:Token type ids")
def test_what_cannot_is_refused_with_the_library_s_own_words(settings: dict[str, Any], said: str, model: str) -> None:
    with pytest.raises(UserError, match=said):
        rehearse(model, **settings)


def test_our_own_strategies_need_none(model: str) -> None:
    assert not rehearsal.is_due(run_of(model, {"lora": {}}))
