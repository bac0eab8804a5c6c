"""How far a model reaches: for how many word pieces, positions and token types it has an embedding. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peftcli.models.tensors import architecture, complete, number


@dataclass(frozen=True)
class Reach:
    """The rows of a model's embeddings, less the positions in front of the first (RoBERTa's); None: there is no limit.

    Numbers of word pieces and of token types are legal below theirs, sequences up to `positions` long.
    """

    pieces: int
    positions: int | None
    types: int | None


def reach(config: Mapping[str, Any]) -> Reach:
    """Work out a model's reach from its config's numbers. Raises UserError for one that is not known or has gaps."""
    whole = complete(dict(config))
    parts = architecture(whole["model_type"]).embeddings

    def rows(role: str, key: str) -> int | None:
        part = parts.get(role)
        return number(whole, key) if part is not None and part.when(whole, 0) else None

    positions = rows("position_embeddings", "max_position_embeddings")
    return Reach(
        number(whole, "vocab_size"),
        None if positions is None else positions - first_position(whole),
        rows("token_type_embeddings", "type_vocab_size"),
    )


def first_position(config: Mapping[str, Any]) -> int:
    """The id of a sequence's first position: 0, or behind the padding id for RoBERTa and its kin."""
    start = architecture(str(config["model_type"])).first_position
    return int(complete(dict(config))["pad_token_id"]) + 1 if start == "after padding" else int(start)
