"""Writing a file so that a reader sees the old content or the new one, never a part."""

import contextlib
import errno
import hashlib
import os
import uuid
from pathlib import Path

from peftcli.errors import UserError


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
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error
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
        raise UserError(f"cannot make folder {folder}: {error.strerror or error}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"folder {folder} cannot be written to")


def read_text(path: Path, what: str) -> str:
    """Read a UTF-8 text file; `what` names it in errors. Raises UserError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{what} {path} is not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"cannot read {what} {path}: {error.strerror}") from None


def sha256(path: Path) -> str:
    """Give the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
