"""When a strategy changes its mask, by its options. No torch."""

from collections.abc import Mapping
from typing import Any


def changes(options: Mapping[str, Any], last: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the updates after which a mask was opened and was chosen, up to `last`; None where it never changes.

    diffpruning opens its gates every `again` updates and chooses `burn_in` updates later; childpruning chooses `every`.
    """
    if "burn_in" in options:  # after every opening, and at the start, anything may move until the mask is chosen
        again = options.get("again")
        opened = tuple(range(again, last + 1, again)) if again else ()
        chosen = tuple(start + options["burn_in"] for start in (0, *opened) if start + options["burn_in"] <= last)
        return opened, chosen
    if "every" in options:
        return (), tuple(range(options["every"], last + 1, options["every"]))
    return None
