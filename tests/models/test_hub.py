"""The hub, asked once and briefly; what it gave is found again without it. It is a small server of our own here."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from peftcli.models import hub
from tests import hub_server
from tests.material import write_split

ROWS = {
    "rte": {"sentence1": ["a", "b", "c"], "sentence2": ["d", "e", "f"], "label": [0, 1, 0]},
    "cb": {"premise": ["a", "b", "c"], "hypothesis": ["d", "e", "f"], "label": [0, 1, 0]},
}
READ = """
import json, sys
from peftcli.tasks import registry as tasks
from peftcli.data import corpora
from peftcli.errors import UserError
try:
    read = corpora.read(tasks.get(sys.argv[1]), ("train", "validation"), None)
    print(json.dumps({split: table.to_pydict() for split, table in read.items()}))
except UserError as error:
    print(error)
"""
# How long the process waits, whatever its imports take on a machine that others use too.
NAPS = "import time; naps = []; time.sleep = naps.append"
NAPPED = "print(sum(naps))"
PREPARE = "import sys; from datasets import load_dataset; load_dataset('nyu-mll/glue', 'rte')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    for split in ("train", "validation"):
        write_split(root / "glue" / "rte", split, ROWS["rte"])
        write_split(root / "made", split, ROWS["cb"])
        (root / "super_glue" / "cb" / split).mkdir(parents=True)
        (root / "made" / f"{split}-00000-of-00001.parquet").rename(root / "super_glue" / "cb" / split / "0000.parquet")
    configs = "".join(f"  - {{split: {split}, path: rte/{split}-*}}\n" for split in ("train", "validation"))
    (root / "glue" / "README.md").write_text(f"---\nconfigs:\n- config_name: rte\n  data_files:\n{configs}---\n")
    repositories = {
        "datasets/nyu-mll/glue": ("main", root / "glue"),
        "datasets/aps/super_glue": ("refs/convert/parquet", root / "super_glue"),
    }
    with hub_server.serve(repositories) as address:
        yield address


def python(code: str, *arguments: str, home: Path, **environment: str) -> tuple[str, str]:
    """Run code in a process of its own, where the hub's libraries read their environment. Gives stdout and stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PEFTCLI_"))}
    clean = {name: value for name, value in clean.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**clean, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout.strip(), done.stderr.strip()


BOTH = {task: json.dumps({"train": rows, "validation": rows}) for task, rows in ROWS.items()}


@pytest.mark.parametrize("task", ["rte", "cb"])
def test_what_was_downloaded_is_found_without_a_network(server: str, tmp_path: Path, task: str) -> None:
    assert python(READ, task, home=tmp_path, HF_ENDPOINT=server) == (BOTH[task], "")
    assert python(READ, task, home=tmp_path, HF_HUB_OFFLINE="1") == (BOTH[task], "")


def test_what_datasets_prepared_is_found_without_a_network(server: str, tmp_path: Path) -> None:
    _, trouble = python(PREPARE, home=tmp_path, HF_ENDPOINT=server)
    assert list(tmp_path.rglob("glue-train.arrow")), trouble
    (tmp_path / "hub").rename(tmp_path / "gone")
    assert python(READ, "rte", home=tmp_path, HF_HUB_OFFLINE="1") == (BOTH["rte"], "")
    assert python(READ, "rte", home=tmp_path, HF_ENDPOINT="http://127.0.0.1:9") == (BOTH["rte"], "")


def test_nothing_listens(tmp_path: Path) -> None:
    said, _ = python(NAPS + READ + NAPPED, "rte", home=tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    message, napped = said.splitlines()
    assert "is not in the local cache" in message
    assert float(napped) < 1  # seconds; between the client's own tries it is half a minute


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "getproxies", dict)
    hub.reachable.cache_clear()
    yield
    hub.reachable.cache_clear()


@pytest.mark.usefixtures("asked")
def test_reachable_is_whether_something_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        assert hub.reachable()
        hub.reachable.cache_clear()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert not hub.reachable()
    hub.reachable.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert not hub.reachable()


@pytest.mark.usefixtures("asked")
def test_a_proxy_is_asked_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "https://nowhere.invalid")
    monkeypatch.setattr(hub, "proxy_bypass", lambda _: False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setattr(hub, "getproxies", lambda: {"https": f"http://127.0.0.1:{port}"})
        assert hub.reachable()


@pytest.mark.usefixtures("asked")
def test_an_answer_is_waited_for_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(hub, "PATIENCE", 0.1)

    def hang(*_: object, **__: object) -> None:
        release.wait(20)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    started = time.monotonic()
    assert not hub.reachable()
    assert time.monotonic() - started < 5
    release.set()


def test_offline_and_quiet_put_back_what_they_change() -> None:
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled()
    with hub.offline(), hub.quiet(), hub._quiet_datasets():
        assert constants.is_offline_mode()
        assert datasets.config.HF_HUB_OFFLINE
        assert not datasets.is_progress_bar_enabled()
    assert before == (constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE, datasets.is_progress_bar_enabled())


@pytest.mark.parametrize(
    ("status", "why", "message"),
    [
        (
            401,
            "GatedRepo",
            "is gated: accept its licence at .*/some/model and log in .hf auth login., or give a folder",
        ),
        (
            403,
            "GatedRepo",
            "is gated: accept its licence at .*/some/model and log in .hf auth login., or give a folder",
        ),
        (
            401,
            "RepoNotFound",
            "is not on the hub, or not for everyone: check the name, log in .hf auth login., or give",
        ),
        (
            404,
            "RepoNotFound",
            "is not on the hub, or not for everyone: check the name, log in .hf auth login., or give",
        ),
        (403, "", r"the hub does not hand out model 'some/model' \(403\): log in .hf auth login., or give a folder"),
        (400, "", "cannot download model 'some/model': Bad request"),
    ],
)
def test_what_the_hub_refuses_is_said_with_what_to_do(status: int, why: str, message: str, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    with (
        hub_server.serve({}, {"models/some/model": (status, why)}) as address,
        pytest.raises((HfHubHTTPError, LocalEntryNotFoundError)) as caught,
    ):
        hf_hub_download("some/model", "config.json", endpoint=address, cache_dir=tmp_path)
    wrapped = OSError("You are trying to access a repository.\nMake sure that you may.")
    wrapped.__cause__ = caught.value
    for error in (caught.value, wrapped):
        said = hub.refusal("model", "some/model", error)
        assert re.search(message, said)
        assert "\n" not in said
    assert (
        "give a folder that holds the data (--data-dir)" in hub.refusal("data set", "some/model", caught.value)
        or status == 400
    )
