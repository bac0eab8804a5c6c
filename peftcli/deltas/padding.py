"""The padding token of what `apply` writes: stock classifiers of decoders find the last token by it, and many have none."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from peftcli.errors import UserError
from peftcli.models.tensors import architecture

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def settle(tokenizer: "PreTrainedTokenizerFast", config: Mapping[str, Any]) -> int | None:
    """Return the number of a decoder's padding token, and have its tokenizer pad with it, on the right; None for encoders.

    Where the tokenizer has none, or one for which the model has no embedding, it is the token that ends texts, which no text
    contains. Raises UserError where texts end with the padding token: a stock classifier would read the token before it.
    """
    if not architecture(str(config["model_type"])).decoder:
        return None
    if tokenizer.pad_token is None or tokenizer.pad_token_id >= config["vocab_size"]:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    # On the left, positions that are not told would count from the padding.
    tokenizer.padding_side = "right"
    if tokenizer.pad_token is None or tokenizer("a").input_ids[-1] == tokenizer.pad_token_id:
        raise UserError(
            f"no stock classifier finds the last token of a text: this tokenizer "
            f"{'ends texts with its padding token' if tokenizer.pad_token else 'has no special token to pad with'}; "
            "use `peftcli predict`"
        )
    return int(tokenizer.pad_token_id)
