"""Refusing examples that a model has no row for: longer than its positions, of a piece or type beyond its embeddings."""

from peftcli.data.examples import Examples
from peftcli.errors import UserError
from peftcli.models.reach import Reach


def check(examples: Examples, reach: Reach) -> None:
    """Refuse a split's examples where a model cannot look one of their numbers up. Raises UserError."""
    if not len(examples.ids):
        return
    longest, piece, kind = (int(numbers.max()) for numbers in (examples.lengths, examples.ids, examples.types))
    if reach.positions is not None and longest > reach.positions:
        raise UserError(
            f"a sequence has {longest} word pieces, and the model has positions for {reach.positions}: "
            f"max_length {reach.positions} or less"
        )
    if piece >= reach.pieces:
        raise UserError(
            f"the tokenizer gives word piece {piece}, and the model has vocab_size {reach.pieces}: the tokenizer is "
            "another model's, or its added pieces have no rows yet (resize_token_embeddings makes them)"
        )
    if reach.types is not None and kind >= reach.types:
        raise UserError(
            f"the tokenizer gives token type {kind} to a second text, and the model has type_vocab_size {reach.types}: "
            "leave token_type_ids out of model_input_names in its tokenizer_config.json"
        )
