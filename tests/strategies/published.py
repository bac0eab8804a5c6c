"""BERT base as strategies see it, and the options that have no default."""

from typing import Any

from peftcli.models.anatomy import Anatomy, anatomy
from peftcli.models.heads import parameters
from peftcli.models.published import PUBLISHED_SIZES

REQUIRED: dict[str, dict[str, Any]] = {  # options without a default
    "layernorm_outlier": {"n": 4},
    "layernorm_random": {"n": 4},
    "spafit": {"groups": [4, 9]},
}


def bert() -> Anatomy:
    """BERT base with the head of a task of two classes, without its weights."""
    config = PUBLISHED_SIZES["bert-base-uncased"]
    return anatomy(config, parameters(config, "sentence", 2, "stock"), pooler=True)
