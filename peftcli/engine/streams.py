"""Streams: each run's sequences laid end to end without padding, `[runs, tokens]`, and where their tokens sit in a grid.

Most of what an encoder computes looks at one token at a time, and costs as much for a padding token as for a real one (of CoLA
padded to 128 tokens 89 % is padding). So tokens lie in a stream, and only attention, which needs sequences, lays them out in a
grid for the moment.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from peftcli.data.examples import Array, Examples, pieces


@dataclass(frozen=True)
class Layout:
    """Where each token of a stream sits in the padded grid that attention needs, counting through all runs.

    `to_grid` [runs * batch * longest]: the token in a cell (any token where there is none). `to_stream` [runs * tokens]:
    a token's cell. `mask` [runs * batch, 1, 1, longest]: True where a cell holds a token. `longest` is the tokens of the
    longest sequence of all runs.
    """

    to_grid: Tensor
    to_stream: Tensor
    mask: Tensor
    longest: int


@dataclass(frozen=True)
class Stream:
    """One batch of each run: `ids`, `types` and `positions` [runs, tokens], sequence starts [runs, batch], and the layout.

    `tokens` is how many real ones there are in all runs together; the rest fills up the shorter runs.
    """

    ids: Tensor
    types: Tensor
    positions: Tensor
    first: Tensor
    layout: Layout
    tokens: int


def lay_out(batches: list[tuple[Examples, Array]], first_position: int, device: torch.device) -> Stream:
    """Lay out, for each run, the chosen sequences of its examples end to end.

    `first_position` is where the model's position ids start. A batch may be shorter than its neighbours': its absent
    sequences have one visible key, so that no softmax is over nothing.
    """
    runs, batch = len(batches), max(len(chosen) for _, chosen in batches)
    # By run: positions in its examples' tokens [own tokens], and where each sequence now starts [own batch + 1].
    taken = [pieces(examples.starts, chosen) for examples, chosen in batches]
    tokens = max(int(starts[-1]) for _, starts in taken)
    longest = max(int(np.diff(starts).max()) for _, starts in taken)
    # What fills up a shorter run is token 0 at position 0 of its first cell: computed, but read by nobody.
    ids, types, positions = (np.zeros((runs, tokens), np.int64) for _ in range(3))
    to_stream, first = np.zeros((runs, tokens), np.int64), np.zeros((runs, batch), np.int64)
    to_grid = np.zeros((runs, batch, longest), np.int64)
    mask = np.zeros((runs, batch, longest), bool)
    mask[..., 0] = True
    for run, ((examples, _), (source, starts)) in enumerate(zip(batches, taken, strict=True)):
        count, lengths = len(source), np.diff(starts)
        ids[run, :count], types[run, :count] = examples.ids[source], examples.types[source]
        sequence = np.repeat(np.arange(len(lengths)), lengths)  # [count]: which sequence a token is of
        offset = np.arange(count) - starts[sequence]  # [count]: and its position there, from 0
        positions[run, :count] = offset
        # Both indices count through all runs, so that one `index_select` serves the whole cohort.
        to_stream[run] = run * batch * longest
        to_stream[run, :count] += sequence * longest + offset
        to_grid[run] = run * tokens
        to_grid[run, sequence, offset] += np.arange(count)
        mask[run, sequence, offset] = True
        first[run, : len(lengths)] = starts[:-1]
    positions += first_position
    moved = [torch.from_numpy(a).to(device, non_blocking=True) for a in (ids, types, positions, first)]
    layout = Layout(
        torch.from_numpy(to_grid.reshape(-1)).to(device),
        torch.from_numpy(to_stream.reshape(-1)).to(device),
        torch.from_numpy(mask.reshape(runs * batch, 1, 1, longest)).to(device),
        longest,
    )
    return Stream(moved[0], moved[1], moved[2], moved[3], layout, sum(len(source) for source, _ in taken))
