"""A loaded model's layers become ones that accept a run dimension: each by its exact class, names and checkpoints as they are."""

from torch import nn
from transformers.pytorch_utils import Conv1D

from peftcli.engine.dropout import RepeatedDropout, RunDropout
from peftcli.engine.modules import RunConv1d, RunEmbedding, RunLinear, RunScaledEmbedding, RunTransposedLinear
from peftcli.engine.normalizing import RunLayerNorm, RunOffsetRMSNorm, RunRMSNorm
from peftcli.engine.rotary import RunRotary, RunRotaryByLayer
from peftcli.errors import UserError

_RUN_KIND: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: RunLinear,
    Conv1D: RunTransposedLinear,
    nn.LayerNorm: RunLayerNorm,
    nn.Embedding: RunEmbedding,
    nn.Conv1d: RunConv1d,
}
# Of single families, by name: importing their modules would load every family's code.
_RUN_KIND_BY_NAME: dict[str, type[nn.Module]] = {
    "LlamaRMSNorm": RunRMSNorm,
    "MistralRMSNorm": RunRMSNorm,
    "Qwen2RMSNorm": RunRMSNorm,
    "Qwen3RMSNorm": RunRMSNorm,
    "Gemma3RMSNorm": RunOffsetRMSNorm,
    "Gemma3TextScaledWordEmbedding": RunScaledEmbedding,
    "GPTNeoXRotaryEmbedding": RunRotary,
    "LlamaRotaryEmbedding": RunRotary,
    "MistralRotaryEmbedding": RunRotary,
    "Qwen2RotaryEmbedding": RunRotary,
    "Qwen3RotaryEmbedding": RunRotary,
    "Gemma3RotaryEmbedding": RunRotaryByLayer,
}


def accept_runs(model: nn.Module, repeated: bool = False) -> nn.Module:
    """Turn a model's layers into ones that accept a run dimension, in place, and freeze everything.

    `repeated`: its layers run several times in one forward pass.
    """
    # The class alone is changed: parameters, names and hooks of a loaded model stay where they are.
    for module in list(model.modules()):
        module.__class__ = _run_kind(type(module)) or type(module)
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, RepeatedDropout(child.p) if repeated else RunDropout(child.p))
    return model.requires_grad_(False)


def check_accepted(model: nn.Module, name: str) -> None:
    """Raises UserError for a module with weights that would not look at a run dimension: what comes out would be wrong."""
    accepted = {*_RUN_KIND.values(), *_RUN_KIND_BY_NAME.values()}
    for module in model.modules():
        if module._parameters and type(module) not in accepted:
            raise UserError(f"model {name!r}: peftcli does not know its {type(module).__name__}")


def drop_attention(model: nn.Module) -> None:
    """Have attention modules that know the probability of their dropout as a number use ours, in place."""
    for module in model.modules():
        probability = module.__dict__.get("attention_dropout")
        if isinstance(probability, int | float):
            del module.attention_dropout
            module.attention_dropout = RunDropout(float(probability))


def _run_kind(kind: type[nn.Module]) -> type[nn.Module] | None:
    if kind in _RUN_KIND:
        return _RUN_KIND[kind]
    of_family = kind.__module__.startswith("transformers.models.")
    return _RUN_KIND_BY_NAME.get(kind.__name__) if of_family else None
