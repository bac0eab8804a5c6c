"""The names of classes that the `datasets` library writes into a parquet file's metadata, beside labels as numbers."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def stated(schema: "pa.Schema", column: str) -> tuple[str, ...] | None:
    """Return the names of a column's classes (`ClassLabel`, or a list of them a row), None where there are none."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
        # A token task's labels are a list of a feature: of type List, Sequence before, or a list of one.
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
        return tuple(map(str, feature["names"]))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):
        return None  # another program wrote the file, or the column holds no classes
