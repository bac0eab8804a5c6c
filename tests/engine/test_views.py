"""What a token sees: all of its sequence, what is around it, or what is before it; nobody sees nothing."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from peftcli.engine.batches import build
from peftcli.engine.views import WHOLE, Windows, views, windows
from peftcli.models.reach import Reading
from tests import tiny

HEADS = 2


def layout() -> Any:
    """Two runs, the second with one sequence less; and how long each sequence is."""
    examples = tiny.examples("pair", 12)
    chosen = [np.array([3, 0, 7]), np.array([1, 2])]
    laid = build([(examples, c) for c in chosen], Reading(), torch.device("cpu")).stream.layout
    return laid, [examples.lengths[c].tolist() for c in chosen]


@pytest.mark.parametrize("asked", [WHOLE, Windows(around=frozenset({3})), Windows(before=frozenset({None, 3}))])
def test_tokens_see_what_their_window_says_and_no_query_sees_nothing(asked: Windows) -> None:
    laid, lengths = layout()
    found = views(laid, HEADS, torch.float64, asked)
    assert set(found) == (set(asked.before) or {None, *asked.around})
    batch, longest = laid.mask.shape[0], laid.longest
    for window, view in found.items():
        mask = view.mask.expand(batch, 1, longest, longest)[:, 0]
        assert mask.any(-1).all()
        for run, of_run in enumerate(lengths):
            for sequence, length in enumerate(of_run):
                at = np.arange(length)
                away = at[:, None] - at
                seen = np.ones((length, length), bool) if window is None else abs(away) < window
                seen &= (away >= 0) | (not asked.before)
                ours = mask[run * 3 + sequence, :length]
                assert np.array_equal(ours[:, :length].numpy(), seen), (window, run, sequence)
                assert not ours[:, length:].any(), "nobody sees what lies behind a sequence's end"
        hidden = view.hidden.expand(batch * HEADS, longest, longest)
        assert torch.equal(hidden == 0, mask.repeat_interleave(HEADS, 0))
        assert bool(torch.isneginf(hidden[hidden != 0]).all())


@pytest.mark.parametrize(
    ("config", "decoder", "expected"),
    [
        ({}, False, WHOLE),
        ({}, True, Windows(before=frozenset({None}))),
        ({"sliding_window": 4}, True, Windows(before=frozenset({4}))),
        ({"sliding_window": 4, "layer_types": ["full_attention", "sliding_attention"]}, True,
         Windows(before=frozenset({4, None}))),
        ({"sliding_window": None, "layer_types": ["full_attention"]}, True, Windows(before=frozenset({None}))),
        ({"sliding_window": 3, "layer_types": ["full_attention", "sliding_attention"]}, False,
         Windows(around=frozenset({4}))),
    ],
)  # fmt: skip
def test_windows_are_those_of_the_config(config: dict[str, Any], decoder: bool, expected: Windows) -> None:
    assert windows(SimpleNamespace(**config), decoder) == expected
