"""Fingerprints kept from one process to the next, so that files that have not changed are read once. No torch.

A kept one stands for files by their paths, sizes and times: the values themselves are read wherever a run is trained.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from peftcli import files
from peftcli.errors import UserError
from peftcli.models.files import at_hand

# Another version of one of them may read the same files otherwise.
LIBRARIES = ("peftcli", "transformers", "tokenizers")


def key(what: str, sources: Iterable[Path]) -> str | None:
    """Return what `what` is kept under, read from these files as they are now; None where one of them is not there."""
    try:
        stated = [(str(file.absolute()), os.stat(file)) for file in sorted(sources)]
    except OSError:
        return None
    # A file that was replaced by one of the same size and time, as `cp -p` does, has another inode or change time.
    entries = [(path, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for path, s in stated]
    whole = [what, [installed_version(library) for library in LIBRARIES], entries]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:32]


@cache  # a package's metadata are parsed whole for it, at every model that is loaded
def installed_version(package: str) -> str | None:
    """Return a package's version; None where it is not installed, as this one is not where it runs from a folder of sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def key_of_model(what: str, model: str) -> str | None:
    """Return what `what` of a model (id, alias or folder) is kept under; None where the model is not on this machine."""
    try:
        folder = at_hand(model)
        return key(what, (file for file in folder.iterdir() if file.is_file()))
    except (UserError, OSError):
        return None


def recall(name: str | None) -> str | None:
    """Return the fingerprint that is kept under a key; None where there is none."""
    try:
        text = _file(name).read_text().strip() if name else ""
    except (OSError, ValueError):
        return None
    return text if re.fullmatch("[0-9a-f]{16}", text) else None


def remember(name: str | None, fingerprint: str) -> None:
    """Keep a fingerprint under a key."""
    # A cache that cannot be written costs time, the next time, and nothing else.
    if name is not None and recall(name) != fingerprint:
        with contextlib.suppress(UserError):
            files.write(_file(name), f"{fingerprint}\n")


def _file(name: str) -> Path:
    return files.cache_folder() / "fingerprints" / name
