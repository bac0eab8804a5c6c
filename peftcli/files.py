"""Writing a file so that a reader sees the old content or the new one, never a part, and checksums that show damage."""

import contextlib
import errno
import hashlib
import importlib
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from peftcli.errors import UserError

CACHE_DIR = "PEFTCLI_CACHE_DIR"
DIGEST_BYTES = 32  # of a SHA-256
CHECKSUM = "sha256"  # the metadata key of a sealed file's checksum
POINTER = b"version https://git-lfs"  # how git-LFS begins what it leaves in the place of a file it has not fetched
IS_POINTER = "is a git-LFS pointer in the place of the file: `git lfs pull` fetches it"


def write(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, fsync it, and rename it into place.

    Parents are made. Raises UserError where the disk is full, read-only or gone; nothing half-written stays behind.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(temporary, data)
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"cannot write {path}: {_reason(path.parent, error)}") from error
    finally:
        with contextlib.suppress(OSError):  # there only where something went wrong, a signal included
            temporary.unlink()


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def ready(folder: Path) -> None:
    """Make a folder that files are to be written to. Raises UserError where it cannot be made or not be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make folder {folder}: {_reason(folder, error)}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"folder {folder} cannot be written to")


def cache_folder() -> Path:
    """The folder of what is kept between commands and can be lost without harm: PEFTCLI_CACHE_DIR, else the user's own."""
    return Path(os.environ.get(CACHE_DIR) or "~/.cache/peftcli").expanduser()


def _reason(folder: Path, error: OSError) -> str:
    """Say why a folder cannot be made or written to: what stands in its way, where the system says "File exists"."""
    for part in (folder, *folder.parents):
        if part.is_symlink() and not part.exists():
            return f"{error.strerror} ({part} is a link to {os.readlink(part)}, which does not exist)"
        if part.is_file():
            return f"{error.strerror} ({part} is a file)"
    return str(error.strerror or error)


def read_text(path: Path, what: str) -> str:
    """Read a UTF-8 text file; `what` names it in errors. Raises UserError when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{what} {path} is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"cannot read {what} {path}: {error.strerror}") from None
    if text.startswith(POINTER.decode()):
        raise UserError(f"{path} {IS_POINTER}")
    return text


def refuse_pointer(path: Path) -> None:
    """Refuse what git-LFS leaves in the place of a file that it has not fetched. Raises UserError, OSError."""
    with open(path, "rb") as stream:
        if stream.read(len(POINTER)) == POINTER:
            raise UserError(f"{path} {IS_POINTER}")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def with_checksum(data: bytes) -> bytes:
    """The data behind its SHA-256."""
    return hashlib.sha256(data).digest() + data


def without_checksum(data: bytes) -> bytes | None:
    """The data that `with_checksum` was called with; None where it was damaged since."""
    checksum, content = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == checksum else None


@dataclass(frozen=True)
class Sealed:
    """A safetensors file's text metadata and tensors by name; `checksum` is the one it holds, None where it has none."""

    metadata: dict[str, str]
    tensors: dict[str, Any]
    checksum: str | None

    def intact(self, text: str) -> bool:
        """Whether nothing of the tensors, nor of the text that was sealed with them, has changed since."""
        return self.checksum == _checksum(self.tensors, text)


def seal(
    tensors: Mapping[str, Any], metadata: Mapping[str, str], text: str, library: Literal["torch", "numpy"]
) -> bytes:
    """A safetensors file of these tensors, all of one library, with a checksum over them and `text` in its metadata."""
    module = importlib.import_module(f"safetensors.{library}")
    return bytes(module.save(dict(tensors), {**metadata, CHECKSUM: _checksum(tensors, text)}))


def unseal(path: Path, library: Literal["torch", "numpy"]) -> Sealed:
    """Read a file that `seal` made; nothing in it is executed. Raises SafetensorError and OSError."""
    from safetensors import safe_open

    with safe_open(path, framework="pt" if library == "torch" else "numpy") as opened:
        metadata = dict(opened.metadata() or {})
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  (no mapping)
    checksum = metadata.pop(CHECKSUM, None)
    return Sealed(metadata, tensors, checksum)


def _checksum(tensors: Mapping[str, Any], text: str) -> str:
    """A SHA-256 over a text and every tensor's name, number format, shape and bytes, in the order of their names."""
    import numpy as np

    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        is_array = isinstance(tensor, np.ndarray)
        # A tensor of PyTorch names its format `torch.float32`, an array of NumPy `<f4`: files of both kinds are about.
        digest.update(f"{name} {tensor.dtype.str if is_array else tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update((np.ascontiguousarray(tensor) if is_array else _bytes_of(tensor)).data)
    return digest.hexdigest()


def _bytes_of(tensor: Any) -> Any:
    import torch

    # NumPy lacks some of PyTorch's number formats (bfloat16), so the bytes are looked at as such.
    return tensor.reshape(-1).contiguous().view(torch.uint8).numpy()
