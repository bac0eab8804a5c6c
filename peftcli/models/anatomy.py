"""One model as a strategy sees it: every tensor by name, role and layer, with counts that need no weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from peftcli.errors import UserError
from peftcli.models.parts import Architecture
from peftcli.models.tensors import LAYER, Parameter, architecture, complete, pretrained_parameters, size


@dataclass(frozen=True)
class Anatomy:
    """The tensors of a pre-trained model (`parameters`) and of the head put on it (`head`).

    `layers` is the number of transformer layers with tensors of their own; they count from 1. `config` has the model's
    sizes. `layer_numbering` is how a protocol reads printed layer numbers (`described`: the number of the last layer,
    from 1; `released`: from 0).
    """

    parameters: tuple[Parameter, ...]
    head: tuple[Parameter, ...]
    layers: int
    layer_numbering: str = "released"
    # Left out of comparisons, since a config has entries (its path, its labels) that say nothing of the model.
    config: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @cached_property  # asked for every tensor of every strategy
    def by_name(self) -> dict[str, Parameter]:
        """Every tensor by its name, the head's too."""
        return {p.name: p for p in (*self.parameters, *self.head)}

    @property
    def total(self) -> int:
        """How many elements the pre-trained model has, the head left out."""
        return sum(p.size for p in self.parameters)

    @property
    def head_total(self) -> int:
        """How many elements the head has."""
        return sum(p.size for p in self.head)

    def names(
        self, roles: Iterable[str] | None = None, layers: Iterable[int] | None = None, kind: str | None = None
    ) -> tuple[str, ...]:
        """The names of the pre-trained tensors of these roles, in these layers (from 1), of this kind (`weight` or `bias`).

        None means all. Raises UserError for a layer the model does not have, and for a selection that is empty.
        """
        # An unknown layer is refused even where no tensor of the role would have been in it.
        chosen = None if layers is None else set(layers)
        self._check_layers(chosen or ())
        roles = None if roles is None else set(roles)
        names = tuple(
            p.name
            for p in self.parameters
            if (roles is None or p.role in roles)
            and (chosen is None or p.layer in chosen)
            and (kind is None or p.name.endswith(f".{kind}"))
        )
        if not names:
            what = " ".join(filter(None, [kind, *sorted(roles or ("tensor",))]))
            there = dict.fromkeys(p.role for p in self.parameters if kind is None or p.name.endswith(f".{kind}"))
            if not there:
                raise UserError(f"this model has no {kind} at all to train")
            raise UserError(f"this model has no {what} to train: of such it has {', '.join(there)}")
        return names

    def over(self, over: str) -> tuple[str, ...]:
        """The names of what a strategy looks at: `encoder` is the layers alone, `all` has embeddings and pooler too."""
        return self.names(LAYER) if over == "encoder" else self.names()

    def modules(self, roles: Iterable[str], layers: Iterable[int] | None = None) -> tuple[str, ...]:
        """The names of the modules of these roles, without `.weight`."""
        return tuple(name.removesuffix(".weight") for name in self.names(roles, layers, "weight"))

    def sublayer_ends(self, roles: Iterable[str]) -> tuple[str, ...]:
        """The modules by which sub-layers end whose last linear layer has one of these roles: what is behind it, or itself."""
        row = self._row
        ends = []
        for name in self.names(roles, kind="weight"):
            weight = self.by_name[name]
            behind = row.ends.get(weight.role)
            prefix = row.prefix.format(weight.layer - 1)
            ends.append(f"{prefix}{behind}" if behind else name.removesuffix(".weight"))
        return tuple(ends)

    def layer_ends(self) -> tuple[str, ...]:
        """The modules by which layers end: the LayerNorm behind the feed-forward, or, where none is behind, the layers."""
        if not self._row.norm_first:
            return self.modules(("ffn_layernorm",))
        return tuple(self._row.prefix.format(layer).removesuffix(".") for layer in range(self.layers))

    @property
    def _row(self) -> Architecture:
        return architecture(str(self.config["model_type"]))

    def linear_weights(self) -> tuple[str, ...]:
        """The names of the weights of linear layers, the head's left out."""
        row = self._row
        parts = {**row.embeddings, **row.layer, **row.outside, **({"pooler": row.pooler} if row.pooler else {})}
        linear = [role for role, part in parts.items() if part.kind in ("linear", "transposed")]
        return tuple(p.name for p in self.parameters if p.role in linear and p.name.endswith(".weight"))

    def size(self, names: Iterable[str]) -> int:
        """The number of elements of these tensors."""
        return sum(self.by_name[name].size for name in names)

    def _check_layers(self, layers: Iterable[int]) -> None:
        for layer in layers:
            if not 1 <= layer <= self.layers:
                nearest = min(max(layer, 1), self.layers)
                raise UserError(
                    f"layer {layer} does not exist: the nearest is {nearest}; layers are 1 to {self.layers}"
                )


def anatomy(
    config: dict[str, Any], head: Iterable[Parameter], pooler: bool, layer_numbering: str = "released"
) -> Anatomy:
    """Build a model's anatomy from its config's numbers and its head's tensors. Raises UserError."""
    # Layers that share their tensors count once, so ALBERT has one layer here and runs twelve.
    row = architecture(str(config.get("model_type")))
    layers = size(complete(config), row.layers)
    return Anatomy(pretrained_parameters(config, pooler), tuple(head), layers, layer_numbering, config)
