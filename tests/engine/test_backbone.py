"""Loading a backbone: what is special is said, what would be lost is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from peftcli.engine.backbone import check_builds, load
from peftcli.engine.batches import build
from peftcli.engine.network import Network
from peftcli.errors import UserError
from peftcli.models.families import FAMILIES
from tests import backbones, folders, tiny


@pytest.mark.parametrize("probability", [0.0, 0.1])
def test_a_modernbert_s_attention_drops_where_its_config_says_so(probability: float) -> None:
    """And else has no such layer, as it had none on padded grids: the noise of the others stays as it was."""
    model = backbones.classifier("modernbert", attention_dropout=probability)
    network = backbones.network(model)
    sites = [name for name in network.dropouts() if name.endswith("attention_dropout")]
    assert len(sites) == (4 if probability else 0)
    parts, batch = backbones.batches(network)
    head = {n: torch.stack([t, t]) for n, t in backbones.head_tensors("modernbert", model).items()}
    noise = network.noise(list(network.dropouts()), torch.tensor([3, 4], dtype=torch.int32), batch)[0]
    plain = network.call(head, {}, batch)
    for site in sites:
        assert not torch.equal(network.call(head, {f"{site}.key": noise[f"{site}.key"]}, batch), plain)
    together = network.call(head, noise, batch)
    for run, part in enumerate(parts):  # the second run's sequences are longer
        alone = build([part], network.reading, CPU)
        keys = torch.tensor([3 + run], dtype=torch.int32)
        own, _ = network.noise(list(network.dropouts()), keys, alone)
        logits = network.call({n: t[run : run + 1] for n, t in head.items()}, own, alone)[0]
        torch.testing.assert_close(together[run, : len(logits)], logits, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "said"),
    [("deberta-v3", ""), ("modernbert", ""), ("albert", "share"), ("electra", "")],
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


CPU = torch.device("cpu")


def changed(folder: Path, **entries: Any) -> str:
    """A small BERT whose config has other entries than it was made with."""
    folders.bert(folder)
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **entries}))
    return str(folder)


@pytest.mark.parametrize(
    "entries",
    [
        {"chunk_size_feed_forward": 5},  # divides no stream
        {"return_dict": False},
        {"output_attentions": True, "output_hidden_states": True},
        {"use_cache": False},
    ],
)
def test_entries_that_change_no_number_are_taken(entries: dict[str, Any], tmp_path: Path) -> None:
    plain = load(str(folders.bert(tmp_path / "plain")), True, torch.float64, CPU)
    network = Network(plain, "pair", 2, "stock")
    _, batch, head = tiny.inputs(network)
    wanted = network.call(head, {}, batch)
    loaded = load(changed(tmp_path / "other", **entries), True, torch.float64, CPU)
    torch.testing.assert_close(Network(loaded, "pair", 2, "stock").call(head, {}, batch), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"is_decoder": True}, "its config says is_decoder: true, but a decoder"),
        ({"num_hidden_layers": 1}, "model.safetensors holds 2 layers, and config.json says num_hidden_layers: 1"),
        ({"vocab_size": 50}, r"is of vocab_size \d+ \(embeddings.word_embeddings.weight\), and config.json says 50"),
        ({"num_attention_heads": 3}, r"hidden size \(16\) is not a multiple of the number of attention heads \(3\)$"),
        ({"hidden_act": "nope"}, "transformers does not know 'nope'$"),
        ({"hidden_dropout_prob": 7}, "between 0 and 1, but got 7$"),
    ],
)
def test_a_model_that_is_not_what_its_config_says_is_refused(
    entries: dict[str, Any], said: str, tmp_path: Path
) -> None:
    model = changed(tmp_path / "model", **entries)
    with pytest.raises(UserError, match=said):
        load(model, True, torch.float32, CPU)


@pytest.mark.parametrize("entries", [{"num_attention_heads": 3}, {"hidden_act": "nope"}, {"layer_norm_eps": "x"}])
def test_what_cannot_be_built_is_said_without_its_weights_in_the_same_words(
    entries: dict[str, Any], tmp_path: Path
) -> None:
    model = changed(tmp_path / "model", **entries)
    with pytest.raises(UserError) as at_once:
        check_builds(model, Path(model))
    with pytest.raises(UserError) as loading:
        load(model, True, torch.float32, CPU)
    assert str(at_once.value) == str(loading.value)


@pytest.mark.parametrize("name", backbones.CONFIGS)
def test_every_family_builds_from_its_config(name: str, tmp_path: Path) -> None:
    backbones.classifier(name).base_model.save_pretrained(tmp_path / "model")
    check_builds(str(tmp_path / "model"), tmp_path / "model")
