"""Loading a pre-trained model: from a hub id, a folder or an alias, checked, frozen, its layers accepting a run dimension."""

import contextlib
import copy
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from peftcli.engine import padded
from peftcli.engine.accepting import accept_runs, check_accepted, drop_attention
from peftcli.engine.attention import ATTENTION, stream_attention
from peftcli.errors import UserError, first_line
from peftcli.models import catalogue, fingerprints, fitting, hub, supported, weights
from peftcli.models.files import locate
from peftcli.models.tensors import Parameter, architecture, pretrained_parameters

# Entries of a config that change what comes back or how it is cut, and no number of it: streams have lengths of their own,
# which no chunk size divides.
HARMLESS: dict[str, Any] = {
    "chunk_size_feed_forward": 0,
    "return_dict": True,
    "output_attentions": False,
    "output_hidden_states": False,
}

HASHED = 2**20  # numbers of a tensor that are hashed at once


@dataclass(frozen=True)
class Backbone:
    """A loaded model: the network without its pooler, the pooler apart, and what its checkpoint did not hold.

    `weights` are its tensors as loaded, before any narrowing to the precision it computes in: the network's own where
    that is the precision of the file. `fresh` names tensors the checkpoint lacks (a pooler): their start comes from each
    run's seed.
    """

    network: nn.Module
    pooler: nn.Module | None
    weights: dict[str, Tensor]
    config: dict[str, Any]
    fresh: frozenset[str]
    fingerprint: str


@lru_cache(maxsize=1)
def load(model: str, pooler: bool, dtype: torch.dtype, device: torch.device) -> Backbone:
    """Load a model once per process, to compute in `dtype` on `device`, everything frozen.

    Raises UserError when it cannot be had, is of an unknown architecture, lacks weights, or differs from its config.
    """
    source, what = locate(model), f"model, pooler {pooler}"
    before = fingerprints.key_of_model(what, model)
    network, missing = _from_pretrained(source, kept_in(model, dtype), model)
    backbone = adopt(network.to(device), pooler, frozenset(missing), model)
    # Files that were replaced meanwhile are not those that were read.
    if before == fingerprints.key_of_model(what, model):
        fingerprints.remember(before, backbone.fingerprint)
    note = architecture(backbone.config["model_type"]).note
    if note:
        print(f"model {model}: {note}", file=sys.stderr)
    return narrowed(backbone, dtype)


def kept_in(model: str, dtype: torch.dtype) -> torch.dtype:
    """The precision of `Backbone.weights` where a model computes in `dtype`: its file's own, or float32 at least.

    Raises UserError where its files are damaged, or another model's than its config says.
    """
    folder, wide = weights.folder(model), torch.promote_types(dtype, torch.float32)
    # Of a hub model that is not in the cache there is nothing to look at yet.
    if folder is None or not (catalogue.is_local(model) or weights.are_in(folder)):
        return wide
    types = fitting.check(model, catalogue.read_config(folder / "config.json"), folder)
    # All in bfloat16: then nothing is rounded, nor kept twice, and what trains is widened, exactly, when it starts to.
    return dtype if types == {"bfloat16"} else wide


def narrowed(backbone: Backbone, dtype: torch.dtype) -> Backbone:
    """The same backbone with its layers computing in `dtype`; `weights` and the pooler stay as they were.

    Trained values start from `weights`: narrowed to bfloat16 first, they would start from rounded ones.
    """
    network = sharing_copy(backbone.network)
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.dtype != dtype:
                module._parameters[name] = nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
    return replace(backbone, network=network)


def sharing_copy(module: nn.Module) -> nn.Module:
    """Copy a module tree whose tensors stay shared, so that what a strategy inserts does not outlive its runs."""
    # By hand, since `copy.copy` of a module shares its dictionaries, and `deepcopy` copies the weights.
    twin = copy.copy(module)
    twin.__dict__ = dict(module.__dict__)
    twin._parameters, twin._buffers = dict(module._parameters), dict(module._buffers)
    twin._modules = {name: None if child is None else sharing_copy(child) for name, child in module._modules.items()}
    return twin


def adopt(network: Any, pooler: bool, missing: frozenset[str], model: str = "this model") -> Backbone:
    """`adopted`, with the fingerprint of the model's values."""
    backbone = adopted(network, pooler, missing, model)
    loaded = {name: tensor for name, tensor in backbone.weights.items() if name not in backbone.fresh}
    return replace(backbone, fingerprint=_fingerprint(loaded))


def adopted(network: Any, pooler: bool, missing: frozenset[str], model: str = "this model") -> Backbone:
    """Take a transformers model as a backbone: check its tensors against the architecture's row, and split off its pooler."""
    config = network.config.to_dict()
    supported.check(config, model)
    row = architecture(config["model_type"])
    if not pooler:
        network.pooler = None
    elif getattr(network, "pooler", None) is None:
        raise UserError(f"model {model!r} has no pooler, which this head reads")
    parameters = pretrained_parameters(config, pooler)
    _check_shapes(network, parameters, model)
    missing = missing & {p.name for p in parameters}
    # Many checkpoints come without a pooler, which then is drawn for each run; anything else missing is a broken file.
    if any(not name.startswith("pooler.") for name in missing):
        raise UserError(f"model {model!r}: the checkpoint lacks {sorted(missing)[0]}")
    loaded = {name: p.detach() for name, p in network.named_parameters()}
    split = network._modules.pop("pooler", None) if pooler else None
    network.pooler = None
    network.config._attn_implementation = ATTENTION
    accept_runs(network, row.shared)
    check_accepted(network, model)
    # Families that count cells had no such dropout on padded grids: they get it where their config asks for it.
    if config.get("attention_dropout") or not row.cells:
        drop_attention(network)
    if row.relative:
        from peftcli.engine.relative import run_on_streams  # here, since it imports the model's code

        run_on_streams(network)
    # With the head, whose part it is, in float32 at least; `weights` keep the file's own.
    split = None if split is None else accept_runs(split).to(torch.promote_types(network.dtype, torch.float32))
    return Backbone(network, split, loaded, config, missing, "")


def check_builds(model: str, folder: Path) -> None:
    """Build a model from its config alone, without memory for its weights. Raises UserError, in the words of `load`."""
    from transformers import AutoConfig, AutoModel

    with _as_user_error(model), quiet_transformers(), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, **HARMLESS)
        network = AutoModel.from_config(config, attn_implementation="eager")
    pooler = getattr(network, "pooler", None) is not None
    _check_shapes(network, pretrained_parameters(network.config.to_dict(), pooler), model)


def _check_shapes(network: nn.Module, parameters: tuple[Parameter, ...], model: str) -> None:
    """Refuse a network whose tensors are not those of its architecture's row."""
    expected = {p.name: p.shape for p in parameters}
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    if shapes != expected:
        name, shape = sorted(set(shapes.items()) ^ set(expected.items()))[0]
        raise UserError(f"model {model!r}: tensor {name} {shape} does not fit its architecture as peftcli knows it")


def _from_pretrained(source: str, dtype: torch.dtype, model: str) -> tuple[nn.Module, set[str]]:
    from transformers import AutoModel

    local = Path(source).is_dir() or not hub.reachable()
    # Told to look at local files alone, transformers still asks the hub for some, again and again.
    with _as_user_error(model), quiet_transformers(), hub.offline() if local else contextlib.nullcontext():
        network, info = AutoModel.from_pretrained(
            source,
            dtype=dtype,
            output_loading_info=True,
            trust_remote_code=False,
            attn_implementation="eager",
            local_files_only=local,
            **HARMLESS,
        )
    _restore_scales(network)
    return network.eval(), set(info["missing_keys"])


def _restore_scales(network: nn.Module) -> None:
    """Have the numbers that modules work out in float32 at least, in place: loaded in bfloat16 they would be rounded."""
    for module in network.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.dtype == torch.bfloat16:
                assert name == "embed_scale", f"{name} of {type(module).__name__} was worked out in bfloat16"
                module._buffers[name] = torch.tensor(module.scalar_embed_scale, dtype=torch.float32)


@contextlib.contextmanager
def _as_user_error(model: str) -> Iterator[None]:
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # files that anyone wrote, read by several libraries: many kinds
        advice = "" if catalogue.is_local(model) else f" ({catalogue.OFFLINE_HELP})"
        said = first_line(error, 200)
        # An activation, say, that is looked up by the name that the config gives.
        said = f"transformers does not know {said}" if isinstance(error, KeyError) else said
        raise UserError(f"cannot load model {model!r}: {said}{advice}") from None


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and loading tables off the terminal."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _fingerprint(tensors: dict[str, Tensor]) -> str:
    """Hash the pre-trained values by name and shape, as float32 whatever they were loaded in."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}".encode())
        # In pieces, since an embedding in bfloat16 would be twice as large for a while.
        for piece in tensors[name].detach().reshape(-1).split(HASHED):
            digest.update(piece.to("cpu", torch.float32).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


from transformers import AttentionInterface, AttentionMaskInterface  # noqa: E402  (registers the backbones' attention)

AttentionInterface.register(ATTENTION, stream_attention)
AttentionInterface.register(padded.ATTENTION, padded.padded_attention)
AttentionMaskInterface.register(padded.ATTENTION, padded.padded_mask)
