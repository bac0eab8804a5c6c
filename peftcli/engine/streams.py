"""Streams: each run's sequences laid end to end without padding, `[runs, tokens]`, and where their tokens sit in a grid.

Most of what an encoder computes looks at one token at a time, and costs as much for a padding token as for a real one (of CoLA
padded to 128 tokens 89 % is padding). So tokens lie in a stream, and only attention, which needs sequences, lays them out in a
grid for the moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from peftcli.data.examples import Array, Examples, pieces
from peftcli.models.reach import Reading


@dataclass(frozen=True)
class Layout:
    """Where each token of a stream sits in the padded grid that attention needs, counting through all runs.

    `to_grid` [runs * batch * longest]: the token in a cell (any token where there is none). `to_stream` [runs * tokens]:
    a token's cell. `mask` [runs * batch, 1, 1, longest]: True where a cell holds a token. `longest` is the tokens of the
    longest sequence of all runs, `widths` those of each run's own longest one.
    """

    to_grid: Tensor
    to_stream: Tensor
    mask: Tensor
    longest: int
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Stream:
    """One batch of each run: `ids`, `types` and `positions` [runs, tokens], and the layout.

    `tokens` is how many real ones there are in all runs together; the rest fills up the shorter runs.
    """

    ids: Tensor
    types: Tensor
    positions: Tensor
    layout: Layout
    tokens: int


@dataclass(frozen=True)
class Laid:
    """A stream while it lies in numpy's arrays, which `Stream` and `Layout` name.

    `starts` [sequences + 1] are where each run's sequences start, and where the last one ends.
    """

    arrays: dict[str, NDArray[Any]]
    starts: tuple[Array, ...]
    longest: int
    widths: tuple[int, ...]
    tokens: int

    def moved(self, tensors: Mapping[str, Tensor]) -> Stream:
        """The stream of these arrays as tensors, by name."""
        layout = Layout(tensors["to_grid"], tensors["to_stream"], tensors["mask"], self.longest, self.widths)
        return Stream(tensors["ids"], tensors["types"], tensors["positions"], layout, self.tokens)


def lay_out(batches: Sequence[tuple[Examples, Array]], reading: Reading) -> Laid:
    """Lay out, for each run, the chosen sequences of its examples end to end.

    `reading` says where the model's position ids start. A batch may be shorter than its neighbours': its absent
    sequences have one visible key, so that no softmax is over nothing.
    """
    runs, batch = len(batches), max(len(chosen) for _, chosen in batches)
    # By run: positions in its examples' tokens [own tokens], and where each sequence now starts [own batch + 1].
    taken = [pieces(examples.starts, chosen) for examples, chosen in batches]
    tokens = max(int(starts[-1]) for _, starts in taken)
    widths = tuple(int(np.diff(starts).max()) for _, starts in taken)
    longest = max(widths)
    # What fills up a shorter run is token 0 at position 0: computed, but read by nobody.
    ids, types, positions = (np.zeros((runs, tokens), np.int64) for _ in range(3))
    to_stream = np.zeros((runs, tokens), np.int64)
    to_grid = np.zeros((runs, batch, longest), np.int64)
    mask = np.zeros((runs, batch, longest), bool)
    mask[..., 0] = True
    for run, ((examples, _), (source, starts)) in enumerate(zip(batches, taken, strict=True)):
        count, lengths = len(source), np.diff(starts)
        ids[run, :count], types[run, :count] = examples.ids[source], examples.types[source]
        sequence = np.repeat(np.arange(len(lengths)), lengths)  # [count]: which sequence a token is of
        offset = np.arange(count) - starts[sequence]  # [count]: and its position there, from 0
        positions[run, :count] = offset
        cells = sequence * longest + offset
        # Both indices count through all runs, so that one `index_select` serves the whole cohort.
        to_stream[run, :count] = run * batch * longest + cells
        if count < tokens:
            # A filler sits in a cell of its run that no token has, so that no token's gradient is taken for a filler's: there
            # is one, since a grid holds the tokens of the longest run.
            to_stream[run, count:] = run * batch * longest + np.argmin(np.bincount(cells, minlength=batch * longest))
        to_grid[run] = run * tokens
        to_grid[run, sequence, offset] += np.arange(count)
        mask[run, sequence, offset] = True
    arrays = {
        "ids": ids, "types": types, "positions": positions + reading.first_position, "to_grid": to_grid.reshape(-1),
        "to_stream": to_stream.reshape(-1), "mask": mask.reshape(runs * batch, 1, 1, longest),
    }  # fmt: skip
    return Laid(arrays, tuple(starts for _, starts in taken), longest, widths, sum(len(source) for source, _ in taken))
