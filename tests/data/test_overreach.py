"""Examples that a model has no row for are refused with the two numbers and what to do."""

from dataclasses import replace

import numpy as np
import pytest

from peftcli.data import overreach
from peftcli.errors import UserError
from peftcli.models.reach import Reach
from tests import tiny

SPLIT = replace(tiny.examples("pair"), types=np.repeat([0, 1], [1, len(tiny.examples("pair").ids) - 1]))
LONGEST, PIECE = int(SPLIT.lengths.max()), int(SPLIT.ids.max())


def test_what_a_model_has_rows_for_is_taken() -> None:
    overreach.check(SPLIT, Reach(PIECE + 1, LONGEST, 2))
    overreach.check(SPLIT, Reach(PIECE + 1, None, None))
    overreach.check(SPLIT.take(np.zeros(0, np.int64)), Reach(1, 1, 1))


@pytest.mark.parametrize(
    ("reach", "said"),
    [
        (
            Reach(61, LONGEST - 1, 2),
            f"has {LONGEST} word pieces, .* positions for {LONGEST - 1}: max_length {LONGEST - 1}",
        ),
        (Reach(PIECE, 40, 2), f"gives word piece {PIECE}, and the model has vocab_size {PIECE}"),
        (Reach(61, 40, 1), "gives token type 1 to a second text, and the model has type_vocab_size 1"),
    ],
)
def test_what_it_has_none_for_is_refused(reach: Reach, said: str) -> None:
    with pytest.raises(UserError, match=said):
        overreach.check(SPLIT, reach)
