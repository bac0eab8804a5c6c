"""Whether a strategy moves whole matrices, by which its usual learning rate is chosen; and the shapes of what it inserts."""

import pytest

import peftcli.strategies
from peftcli.strategies import registry
from peftcli.strategies.tuning import Bottleneck, Injection, Lora, Tuning, trains_whole_matrices
from tests.strategies.published import REQUIRED, bert

WHOLE = ("full", "feedforward", "multihead", "mixout", "childpruning", "diffpruning")


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


def test_inserted_tensors_have_the_layer_s_sizes_on_their_outer_sides() -> None:
    assert Lora(rank=8, alpha=16.0).shapes(3072, 768) == {"lora_a": (8, 768), "lora_b": (3072, 8)}
    assert Bottleneck(48, 768).shapes() == {
        "adapter_down": (48, 768),
        "adapter_down_bias": (48,),
        "adapter_up": (768, 48),
        "adapter_up_bias": (768,),
    }
