"""Tensors that a config's numbers give: shared ones once; what is missing in the config, or in the model, is named."""

import pytest

from peftcli.errors import UserError
from peftcli.experiment import parameters
from peftcli.models import published
from peftcli.models.tensors import pretrained_parameters


def test_shared_layers_count_once_and_the_error_says_which_layers_there_are() -> None:
    counts = parameters.count("albert-base-v2", "layernorm", {}, "pair", 2)
    assert counts.trainable == 4 * 768
    with pytest.raises(UserError, match="layer 2 does not exist: the nearest is 1"):
        parameters.count("albert-base-v2", "layernorm", {"layers": [2]}, "pair", 2)


def test_a_config_with_gaps_is_named() -> None:
    config = dict(published.PUBLISHED_SIZES["google/electra-base-discriminator"])
    for key in ("embedding_size", "intermediate_size"):
        with pytest.raises(UserError, match=key):
            pretrained_parameters({k: v for k, v in config.items() if k != key}, False)
    with pytest.raises(UserError, match="unknown architecture 'bret': did you mean 'bert'"):
        pretrained_parameters({"model_type": "bret"}, False)


def test_a_model_without_biases_refuses_bitfit() -> None:
    with pytest.raises(UserError, match="no bias"):
        parameters.count("answerdotai/ModernBERT-base", "bitfit", {}, "pair", 2)
