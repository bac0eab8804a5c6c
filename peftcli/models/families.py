"""The families of transformers that are known: a row per architecture, its modules' names and sizes by role. No torch.

A new architecture is one row, an encoder's here and a decoder's in `decoders`; its sizes are keys of its config.
"""

from collections.abc import Callable

from peftcli.models.decoders import DECODERS
from peftcli.models.parts import Architecture, Config, Head, Part, embedding, embeddings, layernorm, linear

_BERT_LAYER = {
    "query": linear("attention.self.query"),
    "key": linear("attention.self.key"),
    "value": linear("attention.self.value"),
    "attention_output": linear("attention.output.dense"),
    "attention_layernorm": layernorm("attention.output.LayerNorm"),
    "intermediate": linear("intermediate.dense", "intermediate_size"),
    "output": linear("output.dense", "hidden_size", "intermediate_size"),
    "ffn_layernorm": layernorm("output.LayerNorm"),
}
_BERT_ENDS = {"attention_output": "attention.output.dropout", "output": "output.dropout"}
# RoBERTa's classifier, and what was modelled on it: a dense layer with dropout before it, in a module of their own.
_STOCK_DROPOUT = ("classifier_dropout", "hidden_dropout_prob")
_CLASSIFIER = {"dense": "classifier.dense", "out": "classifier.out_proj"}
_BERT = Architecture(
    "encoder.layer.{}.",
    embeddings("hidden_size"),
    _BERT_LAYER,
    linear("pooler.dense"),
    Head(),
    ends=_BERT_ENDS,
)
_ROBERTA = Architecture(
    "encoder.layer.{}.",
    embeddings("hidden_size"),
    _BERT_LAYER,
    linear("pooler.dense"),
    Head(dense="tanh", first_dropout=_STOCK_DROPOUT, modules=_CLASSIFIER),
    first_position="after padding",
    defaults={"pad_token_id": 1},
    ends=_BERT_ENDS,
)
# Its embeddings may be narrower than its layers; then a projection stands between.
_ELECTRA = Architecture(
    "encoder.layer.{}.",
    embeddings("embedding_size")
    | {
        "projection": linear(
            "embeddings_project", inputs="embedding_size", when=lambda c, _: c["embedding_size"] != c["hidden_size"]
        )
    },
    _BERT_LAYER,
    None,
    Head(dense="gelu", first_dropout=_STOCK_DROPOUT, modules=_CLASSIFIER),
    ends=_BERT_ENDS,
)
# BERT's layers under other names, without token types and pooler.
_DISTILBERT = Architecture(
    "transformer.layer.{}.",
    {
        "word_embeddings": embedding("embeddings.word_embeddings", "vocab_size", "dim"),
        "position_embeddings": embedding("embeddings.position_embeddings", "max_position_embeddings", "dim"),
        "embedding_layernorm": layernorm("embeddings.LayerNorm", "dim"),
    },
    {
        "query": linear("attention.q_lin", "dim", "dim"),
        "key": linear("attention.k_lin", "dim", "dim"),
        "value": linear("attention.v_lin", "dim", "dim"),
        "attention_output": linear("attention.out_lin", "dim", "dim"),
        "attention_layernorm": layernorm("sa_layer_norm", "dim"),
        "intermediate": linear("ffn.lin1", "hidden_dim", "dim"),
        "output": linear("ffn.lin2", "dim", "hidden_dim"),
        "ffn_layernorm": layernorm("output_layer_norm", "dim"),
    },
    None,
    Head(dense="relu", dropout=("seq_classif_dropout",), modules={"dense": "pre_classifier", "out": "classifier"}),
    layers="n_layers",
    hidden="dim",
    defaults={"seq_classif_dropout": 0.2},
    ends={"output": "ffn.dropout"},
)
_ALBERT = Architecture(
    "encoder.albert_layer_groups.{}.",
    embeddings("embedding_size")
    | {"projection": linear("encoder.embedding_hidden_mapping_in", inputs="embedding_size")},
    {
        "query": linear("albert_layers.0.attention.query"),
        "key": linear("albert_layers.0.attention.key"),
        "value": linear("albert_layers.0.attention.value"),
        "attention_output": linear("albert_layers.0.attention.dense"),
        "attention_layernorm": layernorm("albert_layers.0.attention.LayerNorm"),
        "intermediate": linear("albert_layers.0.ffn", "intermediate_size"),
        "output": linear("albert_layers.0.ffn_output", "hidden_size", "intermediate_size"),
        "ffn_layernorm": layernorm("albert_layers.0.full_layer_layer_norm"),
    },
    linear("pooler"),
    Head(dropout=("classifier_dropout_prob",)),
    shared=True,
    layers="num_hidden_groups",  # each group's one set of tensors is run in several layers
    defaults={"classifier_dropout_prob": 0.1, "num_hidden_groups": 1, "inner_group_num": 1},
    ends={"attention_output": "albert_layers.0.attention.output_dropout"},
    note="its layers share their weights: they count once, and what is trained is trained in every layer of a group",
)


def _distances(config: Config) -> int:
    """The number of relative distances DeBERTa tells apart, both directions together."""
    # As its own code reads them: -1 stands for "as far as positions go", and for "no buckets".
    furthest = int(config["max_relative_positions"])
    furthest = furthest if furthest >= 1 else int(config["max_position_embeddings"])
    return 2 * (int(config["position_buckets"]) if int(config["position_buckets"]) > 0 else furthest)


# DeBERTa scores a pair by content alone and by content against relative position, either way (c2p, p2c). The latter have
# projections of their own unless `share_att_key`. `pos_att_type` is a list or, in published configs, joined by `|`.
def _relates(kind: str) -> Callable[[Config, int], bool]:
    def has(config: Config, layer: int) -> bool:
        return bool(config["relative_attention"] and not config["share_att_key"] and kind in config["pos_att_type"])

    return has


def _convolves(config: Config, layer: int) -> bool:
    return int(config["conv_kernel_size"]) > 0


_DEBERTA = Architecture(
    "encoder.layer.{}.",
    {
        "word_embeddings": embedding("embeddings.word_embeddings", "vocab_size"),
        "position_embeddings": embedding(
            "embeddings.position_embeddings",
            "max_position_embeddings",
            when=lambda config, _: bool(config["position_biased_input"]),
        ),
        "token_type_embeddings": embedding(
            "embeddings.token_type_embeddings", "type_vocab_size", when=lambda config, _: config["type_vocab_size"] > 0
        ),
        "embedding_layernorm": layernorm("embeddings.LayerNorm"),
        "relative_embeddings": embedding(
            "encoder.rel_embeddings", _distances, when=lambda config, _: bool(config["relative_attention"])
        ),
        "relative_layernorm": layernorm(
            "encoder.LayerNorm", when=lambda config, _: "layer_norm" in config["norm_rel_ebd"]
        ),
    },
    _BERT_LAYER
    | {
        "query": linear("attention.self.query_proj"),
        "key": linear("attention.self.key_proj"),
        "value": linear("attention.self.value_proj"),
        "position_key": linear("attention.self.pos_key_proj", when=_relates("c2p")),
        "position_query": linear("attention.self.pos_query_proj", when=_relates("p2c")),
    },
    None,
    Head(
        dense="pooler_hidden_act",
        dropout=("cls_dropout", "hidden_dropout_prob"),
        first_dropout=("pooler_dropout",),
        modules={"dense": "pooler.dense", "out": "classifier"},
    ),
    relative=True,
    cells=True,
    outside={
        "convolution": Part(
            "encoder.conv.conv",
            "convolution",
            ("hidden_size", lambda c: c["hidden_size"] // c["conv_groups"], "conv_kernel_size"),
            when=_convolves,
        ),
        "convolution_layernorm": layernorm("encoder.conv.LayerNorm", when=_convolves),
    },
    defaults={
        "relative_attention": False,
        "max_relative_positions": -1,
        "position_buckets": -1,
        "position_biased_input": True,
        "pos_att_type": [],
        "share_att_key": False,
        "norm_rel_ebd": "none",
        "conv_kernel_size": 0,
        "conv_groups": 1,
        "pooler_dropout": 0,
        "pooler_hidden_act": "gelu",
        "type_vocab_size": 0,
    },
    ends=_BERT_ENDS,
)
# Rotary positions, so no position embeddings; LayerNorms before each sub-layer, so one more behind the last layer.
_MODERNBERT = Architecture(
    "layers.{}.",
    {
        "word_embeddings": embedding("embeddings.tok_embeddings", "vocab_size"),
        "embedding_layernorm": layernorm("embeddings.norm", bias="norm_bias"),
    },
    {
        # Layer 1 reads the embeddings' LayerNorm, and so has none of its own.
        "attention_layernorm": layernorm("attn_norm", bias="norm_bias", when=lambda _, layer: layer > 1),
        "query_key_value": linear("attn.Wqkv", lambda c: 3 * c["hidden_size"], bias="attention_bias"),
        "attention_output": linear("attn.Wo", bias="attention_bias"),
        "ffn_layernorm": layernorm("mlp_norm", bias="norm_bias"),
        # Gated: one matrix makes both the input and the gate, so twice the width.
        "intermediate": linear("mlp.Wi", lambda c: 2 * c["intermediate_size"], bias="mlp_bias"),
        "output": linear("mlp.Wo", "hidden_size", "intermediate_size", bias="mlp_bias"),
    },
    None,
    Head(
        dense="classifier_activation",
        dense_bias="classifier_bias",
        norm="norm_bias",
        dropout=("classifier_dropout",),
        pooling="classifier_pooling",
        modules={"dense": "head.dense", "norm": "head.norm", "out": "classifier"},
        token_module=None,  # its token classifier has the dense layer too
    ),
    cells=True,
    outside={"final_layernorm": layernorm("final_norm", bias="norm_bias")},
    defaults={
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_bias": False,
        "classifier_activation": "gelu",
        "classifier_pooling": "cls",
        "classifier_dropout": 0.0,
        "norm_eps": 1e-5,
    },
    ends={"attention_output": "attn.out_drop"},
    norm_first=True,
)

FAMILIES: dict[str, Architecture] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": _DISTILBERT,
    "electra": _ELECTRA,
    "albert": _ALBERT,
    "deberta-v2": _DEBERTA,
    "modernbert": _MODERNBERT,
    **DECODERS,
}
