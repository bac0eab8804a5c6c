"""Parts of an architecture: which have a bias, and what sizes they take from a config."""

from peftcli.models import parts


def test_sizes_are_the_config_s_and_an_embedding_has_no_bias() -> None:
    dense = parts.linear("output.dense", inputs="intermediate_size")
    assert (dense.kind, dense.sizes, dense.bias) == ("linear", ("hidden_size", "intermediate_size"), True)
    norm = parts.layernorm("norm", "dim", bias="norm_bias")
    assert (norm.kind, norm.sizes, norm.bias) == ("layernorm", ("dim",), "norm_bias")
    words = parts.embedding("words", "vocab_size")
    assert (words.kind, words.sizes, words.bias) == ("embedding", ("vocab_size", "hidden_size"), False)
    assert dense.when({}, 0)
    assert dense.when({}, 12)


def test_bert_s_embeddings_may_be_narrower_than_its_layers() -> None:
    narrow = parts.embeddings("embedding_size")
    assert {role: part.sizes for role, part in narrow.items()} == {
        "word_embeddings": ("vocab_size", "embedding_size"),
        "position_embeddings": ("max_position_embeddings", "embedding_size"),
        "token_type_embeddings": ("type_vocab_size", "embedding_size"),
        "embedding_layernorm": ("embedding_size",),
    }
    assert [part.bias for part in narrow.values()] == [False, False, False, True]
