"""How a run's model reads texts: how much of them, what joins the two of a pair, which of a word's pieces stands for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from peftcli.experiment import templates
from peftcli.experiment.settings import Training
from peftcli.experiment.templates import Template
from peftcli.models.tensors import architecture

Overlong = Literal["truncate", "drop"]  # what happens to sequences of more than `max_length` word pieces
Word = Literal["first", "last"]  # of the pieces of a word


@dataclass(frozen=True)
class Phrasing:
    """The longest sequence in word pieces, special ones included; what joins two texts to one; what is read of a word.

    Where `template` is None, the tokenizer joins them, by its special pieces.
    """

    max_length: int
    overlong: Overlong = "truncate"
    template: Template | None = None
    word: Word = "first"


def of(config: Mapping[str, Any], settings: Training) -> Phrasing:
    """Return how a model with this config reads texts; a setting that is null is its family's own way.

    Encoders were trained on pairs that special pieces part, and see a word from either side. A decoder's tokenizer knows
    no pairs: a line end parts its texts. It has read a word at the word's last piece, and at the first only its beginning.
    An encoder takes a template too, so that one recipe asks all its models in the same words: the joined text is then one
    sequence, of one token type. Raises UserError for an unknown architecture.
    """
    decoder = architecture(str(config.get("model_type"))).decoder
    template = settings.template
    if template is None and decoder:
        template = templates.OF_DECODERS
    return Phrasing(
        settings.max_length,
        settings.overlong,
        None if template is None else templates.parse(template),
        settings.read_word or ("last" if decoder else "first"),
    )
