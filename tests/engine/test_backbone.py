"""Loading a backbone: what is special is said, what would be lost is refused."""

import pytest
import torch

from peftcli.engine.backbone import load
from peftcli.engine.network import Network
from peftcli.errors import UserError
from peftcli.models.families import FAMILIES
from tests import backbones, tiny


def test_dropped_attention_probabilities_that_would_be_lost_are_refused() -> None:
    with pytest.raises(UserError, match="drops attention probabilities"):
        backbones.backbone(backbones.classifier("modernbert", attention_dropout=0.1))


@pytest.mark.parametrize(
    ("name", "said"),
    [("deberta-v3", "runs padded"), ("modernbert", "runs padded"), ("albert", "share"), ("electra", "")],
)
def test_a_model_says_what_is_special_when_it_is_loaded(name, said, tmp_path, capsys):
    backbones.classifier(name).base_model.save_pretrained(tmp_path / "model")
    loaded = load(str(tmp_path / "model"), name == "albert", torch.float64, torch.device("cpu"))
    assert said in capsys.readouterr().err
    assert bool(said) == bool(FAMILIES[loaded.config["model_type"]].note)
    network = Network(loaded, "pair", 2, "stock")
    assert network.stream == ("padded" not in said)
    _, batch, head = tiny.inputs(network)
    assert torch.isfinite(network.call(head, {}, batch)).all()
