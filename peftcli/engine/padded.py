"""Padded batches: where a backbone holds modules of another library, each run goes through it alone, on a grid of its own.

Such modules know nothing of streams and runs. What comes out is packed to a stream again, so heads, strategies and evaluation are
the same on both paths.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers.masking_utils import eager_mask

from peftcli.engine.attention import shared_heads
from peftcli.engine.dropout import RunDropout, attention_dropout, restart
from peftcli.engine.streams import Stream
from peftcli.models.reach import reading

ATTENTION = "peftcli_padded"


def encode(backbone: nn.Module, tensors: Mapping[str, Tensor], stream: Stream, config: Mapping[str, Any]) -> Tensor:
    """The last hidden states [runs, tokens, hidden] of a stream.

    `tensors` replace the backbone's own by name, each [runs, …] or [1, …]; dropout's keys [runs] are among them.
    """
    return torch.stack([_encode_run(backbone, tensors, stream, config, run) for run in range(len(stream.ids))])


def _encode_run(
    backbone: nn.Module, tensors: Mapping[str, Tensor], stream: Stream, config: Mapping[str, Any], run: int
) -> Tensor:
    """One run's last hidden states, [tokens, hidden]."""
    (runs, tokens), longest = stream.ids.shape, stream.layout.longest
    # The layout counts through all runs: less the tokens of the runs before, it is this run's own grid, [batch, longest].
    cells = stream.layout.to_grid.view(runs, -1, longest)[run] - run * tokens
    mask = stream.layout.mask.view(runs, -1, longest)[run]
    # The grid is as wide as this run's own longest sequence: its noise does not depend on its neighbours' lengths.
    width = stream.layout.widths[run]
    cells, mask = cells[:, :width], mask[:, :width]  # [batch, width]
    padding = int(config.get("pad_token_id") or 0)
    ids = stream.ids[run].index_select(0, cells.reshape(-1)).view(cells.shape)
    inputs: dict[str, Any] = {"input_ids": ids.masked_fill(~mask, padding), "attention_mask": mask.long()}
    read_as = reading(config)
    if read_as.last:
        inputs["use_cache"] = False
    if read_as.types:
        types = stream.types[run].index_select(0, cells.reshape(-1)).view(cells.shape)
        inputs["token_type_ids"] = types.masked_fill(~mask, 0)
    of_run = {name: tensor[run if len(tensor) > 1 else 0] for name, tensor in tensors.items()}
    restart(backbone)
    hidden: Tensor = functional_call(
        backbone, of_run, kwargs=inputs
    ).last_hidden_state  # [batch, width or more, hidden]
    positions = stream.layout.to_stream.view(runs, -1)[run] - run * len(mask) * longest  # [tokens], in the wide grid
    # A method may put tokens of its own in front (a prompt): the sequence's own are the last `width`. What fills up a run may
    # lie behind them in the wide grid: it reads the last one.
    offset = (positions % longest).clamp(max=width - 1) + hidden.shape[1] - width
    return hidden.flatten(0, 1).index_select(0, positions // longest * hidden.shape[1] + offset)


def padded_mask(**arguments: Any) -> Tensor:
    """The mask that is added to scores [batch, heads, tokens, tokens], also where nothing is masked.

    To see whether anything is, transformers would read the mask back, and wait for the device.
    """
    mask: Tensor = eager_mask(**{**arguments, "allow_is_bidirectional_skip": False})
    return mask


def padded_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attend on a padded grid: query, key, value [batch, heads, tokens, width] to [batch, tokens, heads, width].

    Registered with transformers under `ATTENTION`, for models that run padded. Written out, since
    probabilities are dropped by our hash and not by torch's random state.
    """
    key, value = (shared_heads(x, query.shape[1]) for x in (key, value))
    scores = (
        query @ key.mT * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    )  # [batch, heads, tokens, tokens]
    probabilities = (scores if attention_mask is None else scores + attention_mask).softmax(-1)
    dropout = attention_dropout(module)
    probabilities = dropout(probabilities) if isinstance(dropout, RunDropout) else probabilities
    return (probabilities @ value).transpose(1, 2), None
