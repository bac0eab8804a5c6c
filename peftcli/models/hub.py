"""The Hugging Face hub, for data sets: whether it can be asked, what its local caches hold. Nothing here waits long."""

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from peftcli.errors import first_line

if TYPE_CHECKING:
    import pyarrow as pa

PATIENCE = 1.5  # seconds; the hub's own client tries for a quarter of a minute


@cache
def reachable() -> bool:
    """Whether the hub can be asked: it answers within `PATIENCE`, and HF_HUB_OFFLINE is not set.

    Asked once per process. A proxy, where one is set, is asked in its place.
    """
    from huggingface_hub import constants, is_offline_mode

    if is_offline_mode():
        return False
    address = urlsplit(constants.ENDPOINT)
    # Behind a proxy a machine cannot look the hub's name up itself.
    proxy = getproxies().get(address.scheme)
    if proxy and not proxy_bypass(address.hostname or ""):
        address = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    return _answers(address.hostname or "", address.port or (80 if address.scheme == "http" else 443))


def _answers(host: str, port: int) -> bool:
    answered = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError, ValueError), socket.create_connection((host, port), timeout=PATIENCE):
            answered.set()

    # Looking up a name has no time limit of its own, so it may outlive the wait.
    prober = threading.Thread(target=connect, daemon=True)
    prober.start()
    prober.join(PATIENCE)
    return answered.is_set()


def cached_file(model: str, name: str, commit: str | None = None) -> Path | None:
    """A file of a model repository in the local hub cache, at a commit or at `main`; None where it is not there.

    Raises the hub client's HFValidationError for a name that no repository can have.
    """
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(model, name, revision=commit)
    return Path(path) if isinstance(path, str) else None  # neither None nor the mark of a file that the hub lacks


def cached(repository: str, revision: str | None, patterns: Sequence[str]) -> Path | None:
    """The folder that holds a data set repository's files in the local hub cache, None where it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with quiet():
            folder = snapshot_download(
                repository,
                repo_type="dataset",
                revision=revision,
                allow_patterns=list(patterns),
                local_files_only=True,
            )
    except LocalEntryNotFoundError:
        return None
    return Path(folder)


def download(repository: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Download a data set repository's files that fit the patterns into the hub cache, and return their folder.

    Raises whatever the hub's client raises.
    """
    from huggingface_hub import snapshot_download

    with quiet():
        folder = snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=list(patterns))
    return Path(folder)


def prepared(repository: str, subset: str | None) -> "dict[str, pa.Table] | None":
    """The splits that `datasets.load_dataset` once put into its Arrow cache, None where it has not."""
    import datasets

    with offline(), quiet(), _quiet_datasets():
        try:
            splits = datasets.load_dataset(repository, subset)
        except (ConnectionError, ValueError, OSError):  # how it says that the cache has no such data set or subset
            return None
    # The library's own metadata (label names among it) is put back, which reading as Arrow leaves out.
    return {
        str(split): data.with_format("arrow")[:].replace_schema_metadata(data.features.arrow_schema.metadata)
        for split, data in splits.items()
    }


def refusal(kind: str, repository: str, error: BaseException) -> str:
    """Return why the hub's client did not bring a `model` or `data set`, in one line that says what the user can do.

    Other libraries raise errors of their own because of the client's, which then says more.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__ or cause.__context__
    instead = (
        f"log in (hf auth login), or give a folder that holds {'it' if kind == 'model' else 'the data (--data-dir)'}"
    )
    if isinstance(cause, GatedRepoError):
        page = f"{constants.ENDPOINT}/{'' if kind == 'model' else 'datasets/'}{repository}"
        return f"{kind} {repository!r} is gated: accept its licence at {page} and {instead}"
    if isinstance(cause, RepositoryNotFoundError):
        return f"{kind} {repository!r} is not on the hub, or not for everyone: check the name, {instead}"
    if isinstance(cause, HfHubHTTPError) and cause.response.status_code in (401, 403):
        return f"the hub does not hand out {kind} {repository!r} ({cause.response.status_code}): {instead}"
    return f"cannot download {kind} {repository!r}: {first_line(cause or error)}"


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Have the hub's libraries look at their local caches alone, as under HF_HUB_OFFLINE=1."""
    import datasets
    from huggingface_hub import constants

    # Both libraries read the environment once, when they are imported; after that their own switch counts.
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the hub client's progress bars and warnings off the terminal."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger, bars = logging.getLogger("huggingface_hub"), not are_progress_bars_disabled()
    level = logger.level
    logger.setLevel(logging.ERROR)
    disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            enable_progress_bars()


@contextlib.contextmanager
def _quiet_datasets() -> Iterator[None]:
    import datasets

    level, bars = datasets.logging.get_verbosity(), datasets.is_progress_bar_enabled()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()
