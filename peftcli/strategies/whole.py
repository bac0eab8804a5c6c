"""Strategies that train whole tensors: a choice of names, nothing else."""

from typing import Literal

from peftcli.models.anatomy import Anatomy
from peftcli.models.tensors import ATTENTION, FEEDFORWARD, LAYER, LAYERNORMS
from peftcli.strategies.option_types import Layers
from peftcli.strategies.registry import strategy
from peftcli.strategies.tuning import Mask


@strategy
def full(model: Anatomy) -> Mask:
    """Every pre-trained tensor."""
    return model.names()


@strategy
def frozen(model: Anatomy) -> Mask:
    """Nothing but the head."""
    return ()


@strategy
def multihead(model: Anatomy, layers: Layers | None = None) -> Mask:
    """Query, key, value and output layers of the attention, with biases (transferability, Table 1)."""
    return model.names(ATTENTION, layers)


@strategy
def feedforward(model: Anatomy, layers: Layers | None = None) -> Mask:
    """Both dense layers of the feed-forward, with biases (transferability, Table 1)."""
    return model.names(FEEDFORWARD, layers)


@strategy
def layernorm(model: Anatomy, layers: Layers | None = None, embedding: bool = False) -> Mask:
    """The LayerNorms of the encoder's layers; with `embedding` the embeddings' too (transferability; freezing)."""
    # The paper trains the LayerNorms of the layers; freezing also counts the one behind the embeddings.
    return (*(model.names(("embedding_layernorm",)) if embedding else ()), *model.names(LAYERNORMS, layers))


@strategy
def layernorm_attention(model: Anatomy, layers: Layers | None = None) -> Mask:
    """The LayerNorm behind the attention of each layer (transferability, Table 1)."""
    return model.names(("attention_layernorm",), layers)


@strategy
def layernorm_ffn(model: Anatomy, layers: Layers | None = None) -> Mask:
    """The LayerNorm behind the feed-forward of each layer (transferability, Table 1)."""
    return model.names(("ffn_layernorm",), layers)


@strategy
def bitfit(model: Anatomy, over: Literal["encoder", "all"] = "all") -> Mask:
    """Every bias, LayerNorms' and the pooler's too (BitFit); `over: encoder` leaves embeddings and pooler out."""
    return model.names(LAYER if over == "encoder" else None, kind="bias")
