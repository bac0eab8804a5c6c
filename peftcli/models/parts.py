"""Parts that transformers are made of: a module's name, kind and sizes, and how they make an architecture. No torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Config = Mapping[str, Any]
Kind = Literal["embedding", "linear", "transposed", "layernorm", "rmsnorm", "convolution"]
Size = str | int | Callable[[Config], int]  # a key of the config, a number, or what is worked out from the config


@dataclass(frozen=True)
class Part:
    """One module: its name, kind and sizes, the output's first.

    `transposed` is a linear layer whose weight lies the other way round, [inputs, outputs]. `bias` says whether it has one
    (a string: the config's key that says so), `when` whether a config's model has the part at all, in a layer (from 1; 0
    outside the layers). `offset` is what the module adds to its weight before it computes: Gemma's gains count as 1 + w.
    """

    module: str
    kind: Kind
    sizes: tuple[Size, ...]
    bias: bool | str = True
    offset: float = 0.0
    when: Callable[[Config, int], bool] = lambda config, layer: True


@dataclass(frozen=True)
class Head:
    """The head that the architecture's stock sequence classifier has.

    `dense` is the activation of its inner dense layer, by name or by the config's key (None: no such layer, the pooler
    does that work); `dense_bias` and `norm` (a LayerNorm behind it, its bias by that key) are as in `Part`, `bias` is the
    output layer's. `dropout` lists the config's keys of the dropout before the output layer, the first that is set
    counts; `first_dropout` those of the one before the inner layer, `token_dropout` those of token heads (None: as
    `dropout`). `pooling` is the config's key that says what is read, where it is not always the same token. `modules` are
    the stock sequence classifier's names of our head's modules, `token_module` the stock token classifier's of its one
    linear layer; None where that classifier is another head than our token head.
    """

    dense: str | None = None
    dense_bias: bool | str = True
    norm: str | None = None
    bias: bool = True
    dropout: tuple[str, ...] = ("classifier_dropout", "hidden_dropout_prob")
    first_dropout: tuple[str, ...] = ()
    token_dropout: tuple[str, ...] | None = None
    pooling: str | None = None
    modules: Mapping[str, str] = field(default_factory=lambda: {"out": "classifier"})
    token_module: str | None = "classifier"


@dataclass(frozen=True)
class Architecture:
    """Names of an architecture's modules by role; `{}` in `prefix` is the layer, from 0.

    `decoder` says that texts are read from the left, each token sees those before it; `relative` that its attention looks at
    relative positions (`engine/relative.py`); `cells` that dropout's noise counts the cells of a padded grid
    (`engine/cells.py`); `first_position` where position ids start. `layers` counts the layers that have tensors of their
    own (where layers share them, fewer than are run). `defaults` are of config keys that published configs leave out.
    `ends` names by role of a linear layer the module by which its sub-layer ends, where that is not the layer itself;
    `norm_first` says that LayerNorms stand in front of sub-layers, none behind. `buffers` are a layer's entries in older
    files that are worked out and no weights. `note` is what a user should know.
    """

    prefix: str
    embeddings: dict[str, Part]
    layer: dict[str, Part]
    pooler: Part | None
    head: Head
    decoder: bool = False
    relative: bool = False
    cells: bool = False
    shared: bool = False
    first_position: str | int = 0  # a number, or "after padding"
    layers: Size = "num_hidden_layers"
    hidden: str = "hidden_size"
    outside: dict[str, Part] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    ends: Mapping[str, str] = field(default_factory=dict)
    norm_first: bool = False
    buffers: tuple[str, ...] = ()
    note: str = ""


def linear(module: str, outputs: Size = "hidden_size", inputs: Size = "hidden_size", **more: Any) -> Part:
    """A linear layer."""
    return Part(module, "linear", (outputs, inputs), **more)


def layernorm(module: str, size: Size = "hidden_size", **more: Any) -> Part:
    """A LayerNorm."""
    return Part(module, "layernorm", (size,), **more)


def transposed(module: str, outputs: Size, inputs: Size, **more: Any) -> Part:
    """A linear layer whose weight is [inputs, outputs], as GPT-2's are."""
    return Part(module, "transposed", (outputs, inputs), **more)


def rmsnorm(module: str, size: Size = "hidden_size", **more: Any) -> Part:
    """A LayerNorm without mean and bias (Zhang and Sennrich, 2019)."""
    return Part(module, "rmsnorm", (size,), bias=False, **more)


def embedding(module: str, rows: Size, width: Size = "hidden_size", **more: Any) -> Part:
    """An embedding, which never has a bias."""
    return Part(module, "embedding", (rows, width), bias=False, **more)


def embeddings(width: Size) -> dict[str, Part]:
    """BERT's embeddings, of a width that may be another than the layers'."""
    return {
        "word_embeddings": embedding("embeddings.word_embeddings", "vocab_size", width),
        "position_embeddings": embedding("embeddings.position_embeddings", "max_position_embeddings", width),
        "token_type_embeddings": embedding("embeddings.token_type_embeddings", "type_vocab_size", width),
        "embedding_layernorm": layernorm("embeddings.LayerNorm", width),
    }
