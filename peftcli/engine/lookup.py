"""An embedding of which each run trains a few elements: which of them a batch reads is worked out where it is laid out.

A table has millions of elements, of which a batch reads few rows: a table for each run is never built. How many trained elements
lie in those rows only the ids say, and to ask a GPU for it would make everything wait.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from peftcli.data.examples import Array

PARTS = ("target", "element", "touched", "starts")  # of what `Lookup.pairs` returns
# By an embedding's role which array of a stream holds the numbers of its rows.
READS: dict[str, Literal["ids", "positions", "types"]] = {
    "word_embeddings": "ids",
    "position_embeddings": "positions",
    "token_type_embeddings": "types",
}


@dataclass(frozen=True)
class Lookup:
    """The trained elements of an embedding, by its rows, counted through all runs' tables [runs * rows].

    `reads` names the array of a stream that holds the rows' numbers; `first` is a row's first element and `count` how many
    it has; `column` [runs * elements] is where in its row an element lies.
    """

    reads: Literal["ids", "positions", "types"]
    rows: int
    width: int
    first: Array
    count: Array
    column: Array

    def pairs(self, ids: Array) -> dict[str, NDArray[Any]]:
        """The pairs of a token and a trained element in the row it reads, for ids [runs, tokens], sorted by element.

        `target` [pairs] is the number's place in [runs * tokens * width], `element` [pairs] its element, counted through
        all runs. `touched` are the elements that occur and `starts` [touched + 1] where their pairs start.
        """
        wanted = (ids + np.arange(len(ids))[:, None] * self.rows).reshape(-1)
        counts = self.count[wanted]
        token = np.repeat(np.arange(len(wanted)), counts)
        # A token's pairs lie behind those of the tokens before it: an element is as far behind its row's first one.
        before = np.cumsum(counts) - counts
        element = np.arange(len(token)) + np.repeat(self.first[wanted] - before, counts)
        order = np.argsort(element, kind="stable")
        element, token = element[order], token[order]
        touched, starts = np.unique(element, return_index=True)
        target = token * self.width + self.column[element]
        return {"target": target, "element": element, "touched": touched, "starts": np.append(starts, len(element))}


def lookup(role: str, index: Array, shape: tuple[int, ...]) -> Lookup:
    """The lookup of an embedding of this role and shape [rows, width], whose elements train at `index` [runs, elements].

    `index` is ascending in each run; a dead slot is one past the table's end.
    """
    rows, width = shape
    runs, elements = index.shape
    live = index < rows * width
    row = (index // width + np.arange(runs)[:, None] * rows)[live]  # ascending
    count = np.bincount(row, minlength=runs * rows)
    number = np.arange(runs * elements).reshape(runs, elements)[live]
    first = np.zeros(runs * rows, np.int64)
    distinct, start = np.unique(row, return_index=True)
    first[distinct] = number[start]
    return Lookup(READS[role], rows, width, first, count, (index % width).reshape(-1))


class _AddElements(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        delta: Tensor,
        ids: Tensor,
        weight: Tensor,
        target: Tensor,
        element: Tensor,
        touched: Tensor,
        starts: Tensor,
    ) -> Tensor:
        """Look up ids [runs, tokens] in the shared weight [rows, width], and add each run's elements delta [runs, elements]."""
        ctx.save_for_backward(target, touched, starts)
        ctx.shape, ctx.precision = delta.shape, delta.dtype
        y = F.embedding(ids, weight).to(torch.promote_types(weight.dtype, delta.dtype))
        # A token reads an element of its row once, so no number here has two added.
        y.view(-1).scatter_add_(0, target, delta.reshape(-1).index_select(0, element).to(y.dtype))
        return y.to(weight.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None, None, None]:
        """Compute the gradient of delta: an element's is the sum over its tokens, in the order they lie in."""
        target, touched, starts = ctx.saved_tensors
        to_delta = gradients[0].new_zeros(ctx.shape, dtype=ctx.precision)
        if target.numel():
            arrived = gradients[0].reshape(-1).index_select(0, target).to(ctx.precision)
            sums = torch.segment_reduce(arrived, "sum", offsets=starts, unsafe=True)
            to_delta.view(-1).index_copy_(0, touched, sums)
        return to_delta, None, None, None, None, None, None


def add_elements(delta: Tensor, ids: Tensor, weight: Tensor, pairs: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Look up ids [runs, tokens] in a table [rows, width] that differs in each run's few elements: [runs, tokens, width].

    `delta` [runs, elements] are the differences; `pairs` are `Lookup.pairs` of these ids, in the order of `PARTS`.
    """
    result: Tensor = _AddElements.apply(delta, ids, weight, *pairs)
    return result
