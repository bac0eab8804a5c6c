"""What tests share: a small model in a folder, and the settings under which the command line runs offline."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import folders


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small BERT in a folder, its name `tiny-bert`."""
    return folders.bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session", autouse=True)
def _cache_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests tokenise and fingerprint out of the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path_factory.mktemp("session-cache")))
        yield


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment for a command line of its own: no network, one thread, a cache apart."""
    own = {
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "PEFTCLI_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    return {**os.environ, **own}
