"""What a strategy returns: which weights may move and how, as data that the engine applies. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from peftcli.models.anatomy import Anatomy
    from peftcli.strategies.pretrained import Pretrained

    Shapes = dict[str, tuple[int, ...]]  # by name
    Values = dict[str, Tensor]  # by name, each [runs, *shape]
    Draw = Callable[[tuple[int, ...], torch.Generator], Tensor]  # a tensor of a shape, from one run's generator


@dataclass(frozen=True)
class Elements:
    """Some elements of one or more tensors, looked at as one long row in the order of `names`.

    `count` is how many are selected (their expectation where the draw is Bernoulli); `choose` finds their positions in
    the row (int64, ascending) once one run's weights are there, drawing from that run's own generator.
    """

    names: tuple[str, ...]
    count: float
    choose: Callable[[Pretrained], Tensor]


Mask = Sequence[str | Elements]


@dataclass(frozen=True)
class Injection:
    """Modules that another library puts into the backbone, which then runs padded, a cohort's runs one after another.

    `name` is for error messages; `shapes` are those of what it trains, by name in the model that `wrap` makes. `wrap`
    changes a backbone in place and freezes the rest; its second argument seeds what it draws.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    wrap: Callable[[torch.nn.Module, int], torch.nn.Module]


@dataclass(frozen=True)
class Lora:
    """Two thin matrices beside a linear layer: y += scaling · dropout(x) Aᵀ Bᵀ.

    B is zero at the start, so that nothing changes; or, with `b_drawn`, drawn as A is, uniform within 1 / sqrt(its inputs).
    With `dora` each row of the sum of both weights has a trained magnitude as its norm, which starts at that of the
    layer's own row. `rslora` scales by alpha / sqrt(rank), else it is alpha / rank.
    """

    rank: int
    alpha: float
    dropout: float = 0.0
    b_drawn: bool = False
    dora: bool = False
    rslora: bool = False

    @property
    def scaling(self) -> float:
        """What the product of the matrices is multiplied by."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)

    def shapes(self, outputs: int, inputs: int) -> Shapes:
        """The inserted tensors' names and shapes for a linear layer of these sizes."""
        matrices: Shapes = {"lora_a": (self.rank, inputs), "lora_b": (outputs, self.rank)}
        return matrices | ({"lora_magnitude": (outputs,)} if self.dora else {})


@dataclass(frozen=True)
class Bottleneck:
    """A two-layer network `b` = up(activation(down(·))) of hidden states of a width, through a bottleneck of a size.

    Behind any module that puts out y it makes y + b(y); behind a LayerNorm N of a sum s it makes N(s + b(N(s))). Down is
    drawn as the model's own weights were, up from a normal distribution of this deviation (0: the identity at first).
    """

    size: int
    width: int
    activation: str = "relu"
    up_deviation: float = 0.0

    def shapes(self) -> Shapes:
        """The inserted tensors' names and shapes."""
        return {
            "adapter_down": (self.size, self.width),
            "adapter_down_bias": (self.size,),
            "adapter_up": (self.width, self.size),
            "adapter_up_bias": (self.width,),
        }


@dataclass(frozen=True)
class Moment:
    """When `tensors`, `penalty` and `after_step` are asked: the step (from 0), whether in training, and a key a run.

    `keys` [runs] int32 differ by run seed and step; noise hashed from them is the same alone and in any cohort.
    """

    step: int
    training: bool
    keys: torch.Tensor


@dataclass(frozen=True)
class Tuning:
    """What may move (`mask`, `insert`, `extra`), where it starts, and how values become weights.

    `mask`: names of whole tensors and `Elements` of others. `train_head` is False where the head stays as drawn.
    `start`: weights that start elsewhere than pre-trained, by name, from one run's weights.
    `insert`: what is put beside the linear layer of that name (`Lora`) or behind the module of that name (`Bottleneck`).
    `injected`: modules of another library, by what it does to the whole backbone.
    `extra`: further trained tensors by name, with their shape and start value, or what draws a run's (diffpruning's gates).
    `tensors`: values [runs, …] to weights [runs, …]; the identity when None.
    `penalty`: added to each run's loss, [runs]. `after_step`: changes values in place after an update.
    `differences`: tensors of which weight decay shrinks the difference to where they started, not the value.
    `kept`: how many elements of a masked tensor, or one of the head, end elsewhere than they started, where projection
    leaves only some.
    """

    mask: Mask = ()
    train_head: bool = True
    start: Callable[[Pretrained], Mapping[str, Tensor]] | None = None
    insert: Mapping[str, Lora | Bottleneck] = field(default_factory=dict)
    injected: Injection | None = None
    extra: Mapping[str, tuple[tuple[int, ...], float | Draw]] = field(default_factory=dict)
    tensors: Callable[[Values, Values, Moment], Values] | None = None
    penalty: Callable[[Values, Moment], Tensor] | None = None
    after_step: Callable[[Values, Values, Moment], None] | None = None
    differences: frozenset[str] = frozenset()
    kept: Mapping[str, float] = field(default_factory=dict)

    def inserted_shapes(self, model: Anatomy) -> dict[str, Shapes]:
        """The names and shapes of what is inserted, by the module that it is put to."""
        return {
            module: part.shapes(*model.by_name[f"{module}.weight"].matrix) if isinstance(part, Lora) else part.shapes()
            for module, part in self.insert.items()
        }


def trains_whole_tensors(tuning: Tuning) -> bool:
    """Whether all that trains are tensors of the model, each as a whole: no elements, nothing inserted, no aids of training."""
    aids = tuning.insert or tuning.injected or tuning.extra
    return not aids and all(isinstance(entry, str) for entry in tuning.mask)


def trains_whole_matrices(tuning: Tuning, model: Anatomy) -> bool:
    """Whether some weight matrix moves as a whole, so that a learning rate as small as full fine-tuning's is wanted."""
    # LayerNorm gains and biases have one dimension; `Elements` move parts of a matrix, which bear larger rates.
    return any(isinstance(entry, str) and len(model.by_name[entry].shape) >= 2 for entry in tuning.mask)
