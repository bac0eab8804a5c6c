"""A model's weights by module, read from safetensors files as plain arrays. No torch."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.errors import UserError
from peftcli.models import anatomy as anatomies
from peftcli.models import catalogue, hub
from peftcli.models.anatomy import Anatomy
from peftcli.models.tensors import ATTENTION, FEEDFORWARD

if TYPE_CHECKING:
    from numpy import ndarray

    Arrays = dict[str, ndarray]

ROLES = {
    "multihead": ATTENTION,
    "feedforward": FEEDFORWARD,
    "layernorm_attention": ("attention_layernorm",),
    "layernorm_ffn": ("ffn_layernorm",),
}
SPARSE = ("::index", "::values")  # behind a tensor's name, where a delta has the positions that moved alone
OLD_NAMES = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}


def anatomy(model: str) -> Anatomy:
    """Return a model's tensors by name and role, from its config's numbers. Raises UserError."""
    return anatomies.anatomy(catalogue.config(model), (), pooler=False)


def locate(model: str) -> Path | None:
    """Find the folder or file of a model's weights on this machine; None where they are not at hand."""
    if model == "minilm":
        return catalogue.minilm_folder()
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if catalogue.looks_like_path(model):
        return None
    unpinned, commit = catalogue.pin(model)
    return hub.cached_file(unpinned, "model.safetensors", commit)


def read(source: Path, names: Iterable[str]) -> "Arrays":
    """Read tensors by their names in the architecture, whatever prefix or older name the files give them.

    `source` is a safetensors file or a folder of them. Tensors that the files lack are left out. Raises UserError for
    a file that is damaged, or of a number format that numpy does not have (bfloat16).
    """
    wanted = tuple(names)
    tensors: Arrays = {}
    for file in _files(source):
        tensors |= _read_file(file, wanted)
    return tensors


def moved(source: Path, base: "Arrays") -> "Arrays":
    """Read what training moved of `base`, each tensor whole: stored so, or by the positions where it differs.

    Of a tensor NAME the latter has `NAME::index` (positions in the flat tensor) and `NAME::values`. Raises UserError.
    """
    parts = read(source, [name + part for name in base for part in ("", *SPARSE)])
    index, values = SPARSE
    tensors = {name: parts[name] for name in base if name in parts}
    for name in base:
        if name + index in parts:
            try:
                tensors[name] = _patched(base[name], parts[name + index], parts[name + values])
            except (KeyError, IndexError, ValueError):
                raise UserError(f"{source}: what it holds of {name} does not fit the model") from None
    return tensors


def by_module(tensors: "Mapping[str, ndarray]", model: Anatomy, modules: Iterable[str]) -> "Arrays":
    """Lay the weights of each module's tensors end to end, all layers: module -> [weights] float64, biases included."""
    import numpy as np

    weights = {}
    for module in modules:
        # In double precision, so that bins do not depend on how a file stores its numbers.
        parts = [tensors[name].astype(np.float64).ravel() for name in model.names(ROLES[module]) if name in tensors]
        if parts:
            weights[module] = np.concatenate(parts)
    return weights


def names(model: Anatomy, modules: Iterable[str]) -> tuple[str, ...]:
    """Name every tensor of these modules."""
    return tuple(name for module in modules for name in model.names(ROLES[module]))


def _patched(base: "ndarray", positions: "ndarray", values: "ndarray") -> "ndarray":
    """Return a tensor with other values at these positions; in the finer of both number formats."""
    import numpy as np

    if positions.shape != values.shape or (len(positions) and positions.min() < 0):
        raise ValueError  # numpy would take a negative position from the end
    flat = base.astype(np.result_type(base, values)).ravel()
    flat[positions] = values
    return flat.reshape(base.shape)


def _files(source: Path) -> list[Path]:
    files = sorted(source.glob("*.safetensors")) if source.is_dir() else [source]
    if not files:
        raise UserError(f"{source} holds no safetensors file")
    return files


def _read_file(file: Path, wanted: tuple[str, ...]) -> "Arrays":
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as stored:
            keys = {_plain(key, wanted): key for key in stored.keys()}  # noqa: SIM118 (not a mapping)
            return {name: stored.get_tensor(keys[name]) for name in wanted if name in keys}
    except (SafetensorError, OSError, TypeError) as error:
        raise UserError(f"cannot read weights {file}: {str(error)[:200]}") from None


def _plain(key: str, wanted: tuple[str, ...]) -> str:
    """Return the architecture's name of a stored tensor: without `bert.` and the like, gain and bias in today's words."""
    # Checkpoints of 2018 call LayerNorm's weight gamma and its bias beta.
    for new, old in OLD_NAMES.items():
        key = f"{key.removesuffix(old)}{new}" if key.endswith(old) else key
    first, _, rest = key.partition(".")
    return rest if rest in wanted and first.isidentifier() else key
