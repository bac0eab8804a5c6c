"""DeBERTa on streams: only its attention, which looks at relative positions, and its convolution lay tokens out in a grid.

The stock modules know no runs: the table of relative positions, its LayerNorm and projections may differ between them. These take
their places, with the tensors they have; everything else of a layer is the stock code on [runs, tokens, hidden].
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.deberta_v2.modeling_deberta_v2 import (
    ConvLayer,
    DebertaV2Encoder,
    DebertaV2Model,
    DisentangledSelfAttention,
)

from peftcli.engine.attention import Grid, grid_of, into_grid, out_of_grid
from peftcli.engine.disentangled import (
    PROJECTIONS,
    Distances,
    Kind,
    OrderedAttention,
    OrderedEncoder,
    buckets,
    read_scores,
)
from peftcli.engine.dropout import RunDropout, drop
from peftcli.engine.streams import Layout


@dataclass(frozen=True)
class Surroundings:
    """Where tokens are, for attention by distance: `tokens` [runs, batch, longest] is a cell's token in its run's stream.

    The grid's rows lie by run, head and sequence, as runs' products with their own relative positions need them; `hidden`
    [runs * heads * batch, 1, longest] is added to scores: -inf where a cell holds no key.
    """

    grid: Grid
    hidden: Tensor
    tokens: Tensor


def surroundings(layout: Layout, runs: int, heads: int, dtype: torch.dtype) -> Surroundings:
    """Those of a layout, worked out once for all layers."""
    longest, device = layout.longest, layout.mask.device
    plain = grid_of(layout, 1, dtype)
    # Cells and tokens of one run, and heads, counted on: [runs, 1, batch, longest], [runs, tokens, 1] and [heads].
    cells, tokens = layout.to_grid.view(runs, 1, -1, longest), layout.to_stream.view(runs, -1, 1)
    number, head = torch.arange(runs, device=device), torch.arange(heads, device=device)
    size = cells.shape[2] * longest
    of_run = layout.to_grid.view(runs, -1, longest) - (number * tokens.shape[1])[:, None, None]

    def by_head(x: Tensor) -> Tensor:
        """Repeat what is by sequence [runs * batch, …] for each head: [runs * heads * batch, …]."""
        return x.view(runs, 1, -1, *x.shape[1:]).expand(-1, heads, *[-1] * x.ndim).flatten(0, 2)

    grid = Grid(
        layout,
        heads,
        (cells * heads + head[:, None, None]).flatten(),
        (tokens + (number[:, None, None] * (heads - 1) + head) * size).flatten(),
        by_head(plain.empty),
        {},
    )
    return Surroundings(grid, by_head(plain.views[None].hidden), of_run)


class StreamModel(DebertaV2Model):  # type: ignore[misc]  # transformers has no types
    """The model on a stream, ids, types and positions [runs, tokens]."""

    def forward(
        self, input_ids: Tensor, position_ids: Tensor, grid: Grid, token_type_ids: Tensor | None = None, **_: Any
    ) -> BaseModelOutput:
        """Compute the last hidden states [runs, tokens, hidden]."""
        embedded = self.embeddings(input_ids=input_ids, token_type_ids=token_type_ids, position_ids=position_ids)
        return BaseModelOutput(last_hidden_state=self.encoder(embedded, grid))

    def distances(self, longest: int) -> range:
        """The rows of the embeddings of relative positions that sequences of at most this length read."""
        attention = self.encoder.layer[0].attention.self
        return Distances.of(attention).within(longest) if attention.relative_attention else range(0)


class StreamEncoder(DebertaV2Encoder):  # type: ignore[misc]
    """The encoder on a stream."""

    def forward(self, embedded: Tensor, grid: Grid) -> Tensor:
        """Compute [runs, tokens, hidden] from embedded tokens [runs, tokens, hidden]."""
        runs, layout = len(embedded), grid.layout
        around = surroundings(layout, runs, grid.heads, embedded.dtype)
        positions = self._positions(runs, layout.longest) if self.relative_attention else None
        hidden = embedded
        for number, layer in enumerate(self.layer):
            # A layer hands its attention what it gets, by the stock attention's names.
            hidden, _ = layer(hidden, None, relative_pos=around, rel_embeddings=positions)
            if number == 0 and self.conv is not None:
                hidden = self.conv(embedded, hidden, layout)
        return hidden

    def _positions(self, runs: int, longest: int) -> Tensor:
        """The embeddings of those relative positions that sequences of this length read, [runs, rows, hidden]."""
        rows = Distances.of(self.layer[0].attention.self).within(longest)
        table = self.rel_embeddings.weight[..., rows.start : rows.stop, :]
        table = self.LayerNorm(table) if "layer_norm" in self.norm_rel_ebd else table
        expanded: Tensor = table.expand(runs, -1, -1)
        return expanded


class StreamAttention(DisentangledSelfAttention):  # type: ignore[misc]
    """The attention on a stream, laid out in a grid in between."""

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: None,
        output_attentions: bool = False,
        query_states: None = None,
        relative_pos: Surroundings | None = None,
        rel_embeddings: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """Attend inside each sequence: [runs, tokens, hidden] to the same.

        `rel_embeddings` [runs, rows, hidden] are of the relative positions that these sequences read.
        """
        around, runs = relative_pos, len(hidden_states)
        assert around is not None, "attention on a stream needs to know where its tokens are"
        positions = None if rel_embeddings is None else self.pos_dropout(rel_embeddings)
        queries, from_keys = self._project("p2c", hidden_states, positions)
        keys, from_queries = self._project("c2p", hidden_states, positions)
        values = self._by_head(self.value_proj(hidden_states))
        # [runs * heads * batch, longest, width]
        rows = [into_grid(x, around.grid) for x in (queries, keys, values)]
        # As the stock code rounds it, in float32.
        scale = 1 / float(np.sqrt(np.float32(rows[0].shape[2] * (1 + len({*PROJECTIONS} & {*self.pos_att_type})))))
        scores = torch.baddbmm(around.hidden, rows[0], rows[1].mT, alpha=scale)
        for kind, content, position in (("c2p", queries, from_queries), ("p2c", keys, from_keys)):
            if position is not None:
                # Scored token by token, and only then laid out for every pair: few cells of a grid hold a token.
                by_distance = content @ position.mT  # [runs, heads, tokens, rows]
                read = buckets(kind, scores.shape[1], Distances.of(self), scores.device)
                scores.add_(read_scores(by_distance, read, around.tokens), alpha=scale)
        return out_of_grid(self._drop(scores.softmax(-1)) @ rows[2], around.grid, runs).flatten(2), None

    def _project(self, kind: Kind, hidden: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Project tokens, and relative positions where such scores are asked for, [runs, heads, tokens or rows, width]."""
        shared, apart = PROJECTIONS[kind]
        layer: nn.Module = getattr(self, shared)
        if positions is None or kind not in self.pos_att_type:
            return self._by_head(layer(hidden)), None
        if not self.share_att_key:
            return self._by_head(layer(hidden)), self._by_head(getattr(self, apart)(positions))
        # Both at once: what is inserted in a layer counts on one use of it in a forward pass.
        both: Tensor = layer(torch.cat([hidden, positions], 1))
        tokens, rows = both.split([hidden.shape[1], positions.shape[1]], 1)
        return self._by_head(tokens), self._by_head(rows)

    def _by_head(self, x: Tensor) -> Tensor:
        """Cut [runs, tokens, hidden] by heads: [runs, heads, tokens, width]."""
        return x.view(*x.shape[:2], self.num_attention_heads, -1).transpose(1, 2)

    def _drop(self, probabilities: Tensor) -> Tensor:
        """Drop some probabilities [runs * heads * batch, longest, longest]; the key has a number for each row of them."""
        if not isinstance(self.dropout, RunDropout) or not self.dropout.key.numel() or not self.dropout.p:
            return probabilities
        return drop(probabilities, self.dropout.key.view(probabilities.shape[:2]), self.dropout.p)


class StreamConvolution(ConvLayer):  # type: ignore[misc]
    """The convolution beside the first layer, on a stream."""

    def forward(self, hidden_states: Tensor, residual_states: Tensor, input_mask: Layout) -> Tensor:
        """Convolve each sequence of hidden_states [runs, tokens, hidden] and add it to the residual states: of the same shape."""
        grid = grid_of(input_mask, 1, hidden_states.dtype)
        cells = into_grid(hidden_states[:, None], grid)  # [runs * batch, longest, hidden]
        # Behind the ends of a sequence zeros are read, whatever lies in the cells there.
        cells = cells.masked_fill(grid.empty[:, 0], 0)
        convolved = out_of_grid(self.conv(cells.mT).mT, grid, len(hidden_states))[:, :, 0]
        added: Tensor = self.LayerNorm(residual_states + ACT2FN[self.conv_act](self.dropout(convolved)))
        return added


_ON_STREAMS: dict[type, type] = {
    DebertaV2Model: StreamModel,
    DebertaV2Encoder: StreamEncoder,
    DisentangledSelfAttention: StreamAttention,
    ConvLayer: StreamConvolution,
}
_ON_GRIDS: dict[type, type] = {
    StreamModel: DebertaV2Model,
    StreamEncoder: OrderedEncoder,
    StreamAttention: OrderedAttention,
    StreamConvolution: ConvLayer,
}


def run_on_streams(model: nn.Module) -> None:
    """Have a stock DeBERTa run on streams, in place."""
    _change(model, _ON_STREAMS)


def run_on_grids(model: nn.Module) -> None:
    """Have it run on padded grids again, one run at a time, its sums in a fixed order: in place."""
    _change(model, _ON_GRIDS)


def _change(model: nn.Module, kinds: dict[type, type]) -> None:
    for module in model.modules():
        module.__class__ = kinds.get(type(module), type(module))
