"""How far a model reaches: for how many word pieces, positions and token types it has an embedding. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peftcli.models.tensors import architecture, complete, number, size


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

    def rows(role: str) -> int | None:
        part = parts.get(role)
        return size(whole, part.sizes[0]) if part is not None and part.when(whole, 0) else None

    positions = rows("position_embeddings")
    return Reach(
        number(whole, "vocab_size"),
        None if positions is None else positions - reading(whole).first_position,
        rows("token_type_embeddings"),
    )


@dataclass(frozen=True)
class Reading:
    """How a model reads a sequence.

    `first_position` is the id of its first position; `last` says whether the head reads the last token, not the first;
    `types` whether the model is told which text of a pair a token is of.
    """

    first_position: int = 0
    last: bool = False
    types: bool = False


def reading(config: Mapping[str, Any]) -> Reading:
    """How the model of a config reads: positions count from 0, or from behind the padding id for RoBERTa and its kin."""
    whole = complete(dict(config))
    row = architecture(whole["model_type"])
    first = int(whole["pad_token_id"]) + 1 if row.first_position == "after padding" else int(row.first_position)
    part = row.embeddings.get("token_type_embeddings")
    return Reading(first, row.decoder, part is not None and part.when(whole, 0))
