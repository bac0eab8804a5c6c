"""A backbone with the head of one task: from streams to logits, every tensor by the name the pre-trained model gives it."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers.activations import ACT2FN

from peftcli import noise as noises
from peftcli.engine import padded
from peftcli.engine.backbone import Backbone, sharing_copy
from peftcli.engine.batches import Batch
from peftcli.engine.dropout import RunDropout, restart
from peftcli.engine.modules import RunLayerNorm, RunLinear, accept_runs
from peftcli.engine.streams import Layout, Stream
from peftcli.models import heads
from peftcli.models import tensors as architectures
from peftcli.models.anatomy import Anatomy
from peftcli.models.tensors import Parameter


class Head(nn.Module):
    """The trained head: dropout, an inner dense layer (and its LayerNorm) where the style has one, dropout, the output layer.

    Span tasks pool each span's tokens by a learnt attention and read both spans side by side.
    """

    dense: Callable[[Tensor], Tensor]
    out: Callable[[Tensor], Tensor]
    span_attention: Callable[[Tensor], Tensor]

    def __init__(
        self,
        parameters: tuple[Parameter, ...],
        activation: str | None,
        dropouts: tuple[float | None, float],
        epsilon: float,
    ) -> None:
        super().__init__()
        shapes = {p.name.removeprefix("head."): p.shape for p in parameters}
        for name in ("dense", "out", "span_attention"):
            if f"{name}.weight" in shapes:
                outputs, inputs = shapes[f"{name}.weight"]
                setattr(self, name, RunLinear(inputs, outputs, bias=f"{name}.bias" in shapes))
        hidden = shapes.get("norm.weight")
        self.norm = RunLayerNorm(hidden, epsilon, bias="norm.bias" in shapes) if hidden else None
        self.activation = ACT2FN[activation] if activation else None
        self.first_dropout = None if dropouts[0] is None else RunDropout(dropouts[0])
        self.dropout = RunDropout(dropouts[1])

    def forward(self, features: Tensor) -> Tensor:
        """Give logits [runs, places, outputs] from features [runs, places, hidden]."""
        if self.first_dropout is not None:
            features = self.first_dropout(features)
        if self.activation is not None:
            features = self.activation(self.dense(features))
        if self.norm is not None:
            features = self.norm(features)
        return self.out(self.dropout(features))


class Network(nn.Module):
    """Backbone, pooler and head. `forward` gives logits [runs, places, outputs] of a stream.

    What is read: each sequence's first token (through the pooler where the head reads it), every labelled word's first
    sub-token for token tasks, or both spans' tokens for span tasks.
    """

    def __init__(self, backbone: Backbone, kind: str, labels: int, style: heads.Style) -> None:
        super().__init__()
        config = backbone.config
        self.kind, self.config = kind, config
        self.weights, self.fingerprint = backbone.weights, backbone.fingerprint
        row = architectures.architecture(config["model_type"])
        self.first_position = first_position(config)
        self.stream, self.repeated = row.stream, row.shared
        parameters = heads.parameters(config, kind, labels, style)
        self.fresh = backbone.fresh | {p.name for p in parameters}  # what every run draws for itself
        activation = heads.inner_activation(config, kind, style)
        self.averages = heads.averages(config, kind, style)
        dropouts = heads.dropouts(config, kind, style)
        self.backbone = sharing_copy(backbone.network)
        pooler = backbone.pooler if heads.uses_pooler(config, kind, style) else None
        self.pooler = None if pooler is None else sharing_copy(pooler)
        self.head = accept_runs(Head(parameters, activation, dropouts, float(config.get("norm_eps", 1e-5))))
        self.anatomy = Anatomy(
            architectures.parameters(config, self.pooler is not None),
            parameters,
            architectures.size(config, row.layers),
            config=config,
        )

    def forward(
        self, stream: Stream, places: Tensor, spans: Tensor | None = None, hidden: Tensor | None = None
    ) -> Tensor:
        """Read `places` [runs, places] of the stream's tokens (or `spans` [runs, places, 2, 2]) and give logits.

        `hidden` are the last hidden states [runs, tokens, hidden] where they were computed elsewhere (padded).
        """
        hidden = self.encode(stream) if hidden is None else hidden
        hidden = hidden.float() if hidden.dtype == torch.bfloat16 else hidden
        if spans is not None:
            read = self._pool_spans(hidden, spans)
        elif self.averages:
            read = _mean(hidden, stream.layout)[:, : places.shape[1]]
        else:
            read = _at(hidden, places)
        if self.pooler is not None:
            read = torch.tanh(getattr(self.pooler, "dense", self.pooler)(read))
        logits: Tensor = self.head(read)
        return logits

    def encode(self, stream: Stream) -> Tensor:
        """Give the last hidden states [runs, tokens, hidden]."""
        if self.repeated:
            restart(self.backbone)
        inputs: dict[str, Any] = {"input_ids": stream.ids, "position_ids": stream.positions, "attention_mask": None}
        if self.config.get("type_vocab_size"):
            inputs["token_type_ids"] = stream.types
        hidden: Tensor = self.backbone(**inputs, layout=stream.layout).last_hidden_state
        return hidden

    def _pool_spans(self, hidden: Tensor, spans: Tensor) -> Tensor:
        runs, examples = spans.shape[:2]
        first, last = spans[..., 0], spans[..., 1]
        offset = torch.arange(int((last - first).max()), device=spans.device)
        inside = offset < (last - first)[..., None]
        tokens = _at(hidden, torch.where(inside, first[..., None] + offset, 0).view(runs, -1))
        scores = self.scoring(tokens).view(*inside.shape)
        shares = scores.masked_fill(~inside, float("-inf")).softmax(-1)
        pooled: Tensor = (shares[..., None] * tokens.view(*inside.shape, -1)).sum(-2)
        return pooled.view(runs, examples, -1)

    @property
    def scoring(self) -> RunLinear:
        """The head's layer that weighs a span's tokens."""
        layer = self.head.get_submodule("span_attention")
        assert isinstance(layer, RunLinear)
        return layer

    def module_name(self, name: str) -> str:
        """Give a tensor's or module's name in this network from its name in the pre-trained model."""
        return name if name.partition(".")[0] in ("head", "pooler") else f"backbone.{name}"

    def call(
        self,
        given: dict[str, Tensor],
        noise: dict[str, Tensor],
        stream: Stream,
        places: Tensor,
        spans: Tensor | None = None,
    ) -> Tensor:
        """Run the network with tensors replaced by pre-trained name (each shared or [runs, …]) and dropout's keys."""
        replaced = {self.module_name(name): tensor for name, tensor in given.items()} | noise
        hidden = None
        if not self.stream:
            own = {n.removeprefix("backbone."): replaced.pop(n) for n in list(replaced) if n.startswith("backbone.")}
            hidden = padded.encode(self.backbone, own, stream, self.config)
        result: Tensor = functional_call(self, replaced, (stream, places, spans, hidden), tie_weights=False)
        return result

    def noise(self, sites: Sequence[str], keys: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Give the places of dropout named `sites` their numbers for a batch, from each run's key [runs] for this step.

        By buffer name [runs, tokens]; the head's count what is read instead of tokens. On a grid: [runs], for the encoder.
        """
        at_sites = noises.site_keys(keys, len(sites) + 1)[1:]
        before = (0, 0) if batch.whole is None else (batch.whole.tokens_before, batch.whole.places_before)
        tokens = noises.counting(keys, batch.stream.ids.shape[1], before[0])
        places = noises.counting(keys, batch.places.shape[1], before[1])
        numbers = (tokens * (at_sites | 1)[..., None]).unbind()
        found = {f"{site}.key": number for site, number in zip(sites, numbers, strict=True)}
        for site, key in zip(sites, at_sites, strict=True):
            if site.startswith("head."):
                found[f"{site}.key"] = places * (key | 1)[:, None]
            elif not self.stream:
                found[f"{site}.key"] = key
        return found

    def dropouts(self) -> dict[str, RunDropout]:
        """Every place of the network that drops elements, by name, in a fixed order; the order numbers their noise."""
        return {name: m for name, m in self.named_modules() if isinstance(m, RunDropout)}


def first_position(config: dict[str, Any]) -> int:
    """Give the id of a sequence's first position: 0, or behind the padding id for RoBERTa's kin."""
    start = architectures.architecture(config["model_type"]).first_position
    return int(config["pad_token_id"]) + 1 if start == "after padding" else int(start)


def _at(hidden: Tensor, places: Tensor) -> Tensor:
    """Read tokens: [runs, tokens, hidden] at [runs, places] to [runs, places, hidden]."""
    offsets = torch.arange(len(hidden), device=hidden.device)[:, None] * hidden.shape[1]
    return hidden.flatten(0, 1).index_select(0, (places + offsets).reshape(-1)).view(*places.shape, -1)


def _mean(hidden: Tensor, layout: Layout) -> Tensor:
    """Average each sequence's tokens: [runs, tokens, hidden] to [runs, batch, hidden]."""
    mask = layout.mask[:, 0, 0, :, None].to(hidden.dtype)
    grid = hidden.flatten(0, 1).index_select(0, layout.to_grid).view(len(mask), layout.longest, -1)
    return ((grid * mask).sum(1) / mask.sum(1)).view(len(hidden), -1, hidden.shape[-1])
