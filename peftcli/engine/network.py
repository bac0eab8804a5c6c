"""A backbone with the head of one task: from streams to logits, every tensor by the name the pre-trained model gives it."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from peftcli.engine import cells, padded
from peftcli.engine.accepting import accept_runs
from peftcli.engine.attention import grid_of
from peftcli.engine.backbone import Backbone, sharing_copy
from peftcli.engine.batches import Batch
from peftcli.engine.compiling import Compute
from peftcli.engine.dropout import RunDropout, restart
from peftcli.engine.head import Head
from peftcli.engine.lookup import Lookup
from peftcli.engine.modules import RunLinear
from peftcli.engine.rearranging import rearrange
from peftcli.engine.streams import Layout, Stream
from peftcli.engine.views import windows
from peftcli.models import heads
from peftcli.models.anatomy import Anatomy
from peftcli.models.reach import reading
from peftcli.models.tensors import architecture, pretrained_parameters, size
from peftcli.noise import numbers


class Network(nn.Module):
    """Backbone, pooler and head. `forward` makes logits [runs, read, outputs] of a batch.

    What is read: each sequence's first token (through the pooler where the head reads it; a decoder's last), one piece of
    every labelled word for token tasks, or both spans' tokens for span tasks.
    """

    def __init__(self, backbone: Backbone, kind: str, labels: int, style: heads.Style) -> None:
        super().__init__()
        config = backbone.config
        self.kind, self.config = kind, config
        self.weights, self.fingerprint = backbone.weights, backbone.fingerprint
        row = architecture(config["model_type"])
        self.reading = reading(config)
        self.compiled: Compute | None = None  # `compute`, if asked for
        self.lookups: dict[str, Lookup] = {}  # by module: what is worked out for it while a batch is laid out
        self.stream, self.repeated, self.cells = True, row.shared, row.cells
        head_parameters = heads.parameters(config, kind, labels, style)
        self.fresh = backbone.fresh | {p.name for p in head_parameters}  # what every run draws for itself
        activation = heads.inner_activation(config, kind, style)
        self.averages = heads.averages(config, kind, style)
        dropouts = heads.dropouts(config, kind, style)
        # A cohort's strategy puts its modules into copies; the backbone itself stays as loaded, for the next cohort.
        self.backbone = sharing_copy(backbone.network)
        pooler = backbone.pooler if heads.uses_pooler(config, kind, style) else None
        self.pooler = None if pooler is None else sharing_copy(pooler)
        self.head = accept_runs(Head(head_parameters, activation, dropouts, float(config.get("norm_eps", 1e-5))))
        self.anatomy = Anatomy(
            pretrained_parameters(config, self.pooler is not None),
            head_parameters,
            size(config, row.layers),
            config=config,
        )

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Tensor:
        """Logits [runs, read, outputs] of what a batch reads.

        `hidden` are the last hidden states [runs, tokens, hidden] where they were computed elsewhere (padded).
        """
        hidden = self.encode(batch.stream) if hidden is None else hidden
        # From here on in float32: the head and its loss are trained, and bfloat16 has too few digits for either.
        hidden = hidden.float() if hidden.dtype == torch.bfloat16 else hidden
        if batch.spans is not None:
            read = self._pool_spans(hidden, batch.spans, batch.longest_span)
        elif self.averages:
            read = _sequence_means(hidden, batch.stream.layout)[:, : batch.read_positions.shape[1]]
        else:
            # Stock poolers read [:, 0], which in a stream is the first sequence's first token alone: so what is to be read
            # is gathered before them.
            read = _gather_tokens(hidden, batch.read_positions)
        if self.pooler is not None:
            # BERT's pooler holds a dense layer; ALBERT's is that layer itself.
            read = torch.tanh(getattr(self.pooler, "dense", self.pooler)(read))
        logits: Tensor = self.head(read)
        return logits

    def encode(self, stream: Stream) -> Tensor:
        """The last hidden states [runs, tokens, hidden] of a stream."""
        if self.repeated:
            restart(self.backbone)
        # Position and token types are told, never left to the model: its own would count through the whole stream.
        inputs: dict[str, Any] = {"input_ids": stream.ids, "position_ids": stream.positions, "attention_mask": None}
        if self.reading.types:
            inputs["token_type_ids"] = stream.types
        config: Any = self.backbone.config  # the library's object knows every family's name for it
        if self.reading.last:  # a decoder
            inputs["use_cache"] = False
        seen = windows(config, self.reading.last)
        grid = grid_of(stream.layout, config.num_attention_heads, self.precision, seen)
        hidden: Tensor = self.backbone(**inputs, grid=grid).last_hidden_state
        return hidden

    @property
    def precision(self) -> torch.dtype:
        """The precision the backbone computes in."""
        return next(self.backbone.parameters()).dtype

    def _pool_spans(self, hidden: Tensor, spans: Tensor, longest: int) -> Tensor:
        """Pool both spans' tokens and lay them side by side: [runs, tokens, hidden] to [runs, examples, 2 * hidden].

        `spans` [runs, examples, 2, 2], of which the longest has `longest` tokens.
        """
        runs, examples = spans.shape[:2]
        first, last = spans[..., 0], spans[..., 1]  # [runs, examples, 2]; `last` is behind the span
        offset = torch.arange(longest, device=spans.device)
        inside = offset < (last - first)[..., None]  # [runs, examples, 2, longest span]
        # Behind a span's end the stream's first token is read, and weighs nothing.
        positions = torch.where(inside, first[..., None] + offset, 0)
        # One side at a time: spans of both sides may share tokens, and each side's gradient then has a sum of its own.
        sides = [_gather_tokens(hidden, positions[:, :, side].reshape(runs, -1)) for side in range(2)]
        tokens = torch.stack([side.view(runs, examples, longest, -1) for side in sides], 2)
        scores = self.scoring(tokens.view(runs, -1, tokens.shape[-1])).view(*inside.shape)
        attention = scores.masked_fill(~inside, float("-inf")).softmax(-1)
        pooled: Tensor = (attention[..., None] * tokens).sum(-2)
        return pooled.view(runs, examples, -1)

    @property
    def scoring(self) -> RunLinear:
        """The head's layer that weighs a span's tokens."""
        layer = self.head.get_submodule("span_attention")
        assert isinstance(layer, RunLinear)
        return layer

    def module_name(self, name: str) -> str:
        """A tensor's or module's name in this network, from its name in the pre-trained model."""
        return name if name.partition(".")[0] in ("head", "pooler") else f"backbone.{name}"

    def call(self, tensors: dict[str, Tensor], noise: dict[str, Tensor], batch: Batch) -> Tensor:
        """Logits [runs, read, outputs] of a batch with these tensors in the place of the network's own.

        `tensors` by pre-trained name, each shared or [runs, …]; `noise` are dropout's keys by buffer name.
        """
        return (self.compiled or self.compute)(tensors, noise, batch)

    def compute(self, tensors: dict[str, Tensor], noise: dict[str, Tensor], batch: Batch) -> Tensor:
        """The same, operation by operation."""
        replaced = {self.module_name(name): tensor for name, tensor in tensors.items()} | noise | batch.lookups
        hidden = None
        if not self.stream:
            of_backbone = {
                name.removeprefix("backbone."): replaced.pop(name) for name in list(replaced)
                if name.startswith("backbone.")
            }  # fmt: skip
            hidden = padded.encode(self.backbone, of_backbone, batch.stream, self.config)
        # Only the tensor of that name is replaced, even where the model has the same one under another name too.
        result: Tensor = functional_call(self, replaced, (batch, hidden), tie_weights=False)
        return result

    def noise(self, sites: Sequence[str], keys: Tensor, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Numbers for a batch for the dropout layers named `sites`, from each run's key [runs] for this step.

        By buffer name [runs, tokens]; the head's count what is read instead of tokens. On a grid: [runs], for the encoder;
        on a stream in a family that counts cells, as `cells.numbers` says.
        The second result is the strategy's own key for this step, [runs].
        """
        whole = batch.whole
        # Counted from the start of the whole batch, so a token draws the same number in whichever process it is.
        before = (None, None) if whole is None else (whole.tokens_before, whole.read_before)
        widths = batch.stream.ids.shape[1], batch.read_positions.shape[1]
        # The first key is the strategy's: [1 + sites, runs].
        keys_of_sites, tokens, read = numbers(keys, len(sites) + 1, list(zip(widths, before, strict=True)))
        of_encoder = sum(not site.startswith("head.") for site in sites)  # the head's come after them
        factors = keys_of_sites[1:, :, None] | 1
        own = keys_of_sites[1 : of_encoder + 1]  # by which, on a grid, each run goes through the encoder
        if self.stream and self.cells:
            numbers_of: Iterable[Tensor] = cells.numbers(own, sites[:of_encoder], batch, self.backbone)
        else:
            numbers_of = _products(tokens, factors[:of_encoder]) if self.stream else own
        by_site = [*numbers_of, *_products(read, factors[of_encoder:])]
        named = {f"{site}.key": number for site, number in zip(sites, by_site, strict=True)}
        if whole is not None and not self.stream:
            named |= {f"{site}.in_grid": whole.in_grid for site in sites[:of_encoder]}
        return named, keys_of_sites[0]

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of its layers' modules, from the first on; a layer that runs several times has one."""
        row = architecture(self.config["model_type"])
        names = (row.prefix.format(layer).rstrip(".") for layer in range(size(self.config, row.layers)))
        return tuple(map(self.module_name, names))

    def dropouts(self) -> dict[str, RunDropout]:
        """Every layer of the network that drops elements, by name, in a fixed order; the order numbers their noise."""
        return {name: m for name, m in self.named_modules() if isinstance(m, RunDropout)}


def _products(rows: Tensor, factors: Tensor) -> Tensor:
    """Row numbers [runs, rows] times each site's factors [sites, runs, 1]: [sites, runs, rows], in one kernel for all sites."""
    # Into a tensor laid out here, so that each site's numbers lie in one piece: a product's own layout follows its operands'.
    return torch.mul(rows, factors, out=rows.new_empty(len(factors), *rows.shape))


def _gather_tokens(hidden: Tensor, positions: Tensor) -> Tensor:
    """Read tokens: [runs, tokens, hidden] at positions [runs, read] to [runs, read, hidden]."""
    # One index into all runs' tokens laid end to end: [runs * read].
    offsets = torch.arange(len(hidden), device=hidden.device)[:, None] * hidden.shape[1]
    tokens = hidden.flatten(0, 1).index_select(0, (positions + offsets).reshape(-1))
    # The width is told: it does not follow from the number of elements where a batch of words reads none.
    return tokens.view(*positions.shape, hidden.shape[-1])


def _sequence_means(hidden: Tensor, layout: Layout) -> Tensor:
    """Average each sequence's tokens: [runs, tokens, hidden] to [runs, batch, hidden]."""
    mask = layout.mask[:, 0, 0, :, None].to(hidden.dtype)
    grid = rearrange(hidden.flatten(0, 1), layout.to_grid, layout.to_stream).view(len(mask), layout.longest, -1)
    # An absent sequence has one visible key (`lay_out`), so nothing is divided by zero.
    return ((grid * mask).sum(1) / mask.sum(1)).view(len(hidden), -1, hidden.shape[-1])
