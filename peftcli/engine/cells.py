"""Dropout's numbers by the cells of a run's own padded grid, for families that ran on such grids before they ran on streams.

A run draws what it drew there, so its records can be made again and its checkpoints go on. The grid is as wide as the run's own
longest sequence, so the lengths of its neighbours do not matter.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from peftcli import noise
from peftcli.engine.batches import Batch


def numbers(keys: Tensor, sites: Sequence[str], batch: Batch, backbone: Any) -> list[Tensor]:
    """A number for each row that a dropout layer gets, by layer as `sites` names them, [runs, rows] int32; keys [sites, runs]."""
    # Where positions are relative, layers drop from their embeddings too.
    distances = backbone.distances(batch.stream.layout.longest) if hasattr(backbone, "distances") else range(0)
    counters = _counters(batch, backbone.config.num_attention_heads, distances)
    drawn = list(keys)
    for rows, counted in counters.items():
        members = [number for number, site in enumerate(sites) if _rows(site) == rows]
        if members:
            of_members = noise.at(torch.stack([keys[number] for number in members])[..., None], counted)
            drawn = [of_members[members.index(n)] if n in members else before for n, before in enumerate(drawn)]
    return drawn


def _rows(site: str) -> Literal["tokens", "distances", "scores"]:
    """Which rows a layer drops from."""
    if ".pos_" in site:
        return "distances"
    return "scores" if site.endswith(".attention.self.dropout") else "tokens"


def _counters(batch: Batch, heads: int, distances: range) -> Mapping[str, Tensor]:
    """What counts rows, [runs, rows] int32 each.

    "tokens" are those of the stream, and behind them those of relative positions, as some layers get both; "distances" the
    latter alone; "scores" attention's in the grid of all runs, [runs, heads * batch * longest].
    """
    layout, runs = batch.stream.layout, len(batch.stream.ids)
    device, longest = layout.mask.device, layout.longest
    mask = layout.mask.view(runs, -1, longest)
    width, before = mask.sum(2).amax(1)[:, None], torch.zeros(runs, 1, dtype=torch.int64, device=device)
    if batch.whole is not None:  # a row counts where all of it has that row
        before, width = batch.whole.in_grid[:, :1], width + batch.whole.in_grid[:, 1:]
    # From the cell in the grid of all runs to that in the run's own: its sequence, and where it is in it.
    cell = layout.to_stream.view(runs, -1) - torch.arange(runs, device=device)[:, None] * mask[0].numel()
    tokens = (cell // longest + before) * width + cell % longest  # [runs, tokens]
    rows = torch.arange(distances.start, distances.stop, device=device).expand(runs, -1)
    sequence = (torch.arange(mask.shape[1], device=device) + before)[:, None, :, None]  # [runs, 1, batch, 1]
    head = torch.arange(heads, device=device)[:, None, None]
    scores = (sequence * heads + head) * width[..., None, None] + torch.arange(longest, device=device)
    counters = {"tokens": torch.cat([tokens, rows], 1), "distances": rows, "scores": scores.reshape(runs, -1)}
    return {kind: counted.to(torch.int32) for kind, counted in counters.items()}
