"""The hub, asked once and briefly; what it gave is found again without it. It is a small server of our own here."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from peftcli.data import hub
from tests.material import write_split

COMMIT = "a" * 40
ROWS = {"sentence1": ["a", "b", "c"], "sentence2": ["d", "e", "f"], "label": [0, 1, 0]}
READ = """
import json, sys
from peftcli import tasks
from peftcli.data import corpora
from peftcli.errors import UserError
try:
    read = corpora.read(tasks.get(sys.argv[1]), ("train", "validation"), None)
    print(json.dumps({split: table.to_pydict() for split, table in read.items()}))
except UserError as error:
    print(error)
"""
PREPARE = "import sys; from datasets import load_dataset; load_dataset('nyu-mll/glue', 'rte')"


class Hub(BaseHTTPRequestHandler):
    """Answers for `nyu-mll/glue` (main) and `aps/super_glue` (the converted branch) from folders beside each other."""

    root: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for repository, revision in (("nyu-mll/glue", "main"), ("aps/super_glue", "refs/convert/parquet")):
            folder = self.root / repository.rpartition("/")[2]
            files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
            stem = f"datasets/{repository}"
            if path in (f"/api/{stem}/revision/{revision}", f"/api/{stem}/revision/{COMMIT}"):
                siblings = [{"rfilename": name} for name in files]
                return self.send(200, json.dumps({"id": repository, "sha": COMMIT, "siblings": siblings}).encode())
            if path.startswith(f"/api/{stem}/tree/{COMMIT}"):
                within = path.removeprefix(f"/api/{stem}/tree/{COMMIT}").strip("/")
                return self.send(200, json.dumps(tree(files, within, "recursive=true" in self.path)).encode())
            for name in (revision, COMMIT):
                file = files.get(path.removeprefix(f"/{stem}/resolve/{name}/"))
                if file is not None:
                    return self.send(200, file.read_bytes())
        return self.send(404, b"{}")

    def send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def tree(files: dict[str, Path], within: str, recursive: bool) -> list[dict[str, object]]:
    """List files and folders as the hub's API does."""
    stem, found = f"{within}/" if within else "", {}
    for name, file in files.items():
        inner = name.removeprefix(stem)
        if name.startswith(stem) and (recursive or "/" not in inner):
            found[name] = {"type": "file", "path": name, "size": file.stat().st_size, "oid": "b" * 40}
        elif name.startswith(stem):
            folder = stem + inner.partition("/")[0]
            found[folder] = {"type": "directory", "path": folder, "oid": "c" * 40}
    return list(found.values())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    for split in ("train", "validation"):
        write_split(root / "glue" / "rte", split, ROWS)
        write_split(root / "made", split, ROWS)
        (root / "super_glue" / "cb" / split).mkdir(parents=True)
        (root / "made" / f"{split}-00000-of-00001.parquet").rename(root / "super_glue" / "cb" / split / "0000.parquet")
    configs = "".join(f"  - {{split: {split}, path: rte/{split}-*}}\n" for split in ("train", "validation"))
    (root / "glue" / "README.md").write_text(f"---\nconfigs:\n- config_name: rte\n  data_files:\n{configs}---\n")
    running = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Hub,), {"root": root}))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()


def python(code: str, *arguments: str, home: Path, **environment: str) -> tuple[str, str]:
    """Run code in a process of its own, where the hub's libraries read their environment. Gives stdout and stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PEFTCLI_"))}
    clean = {name: value for name, value in clean.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**clean, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip(), done.stderr.strip()


BOTH = json.dumps({"train": ROWS, "validation": ROWS})


@pytest.mark.parametrize("task", ["rte", "cb"])
def test_what_was_downloaded_is_found_without_a_network(server: str, tmp_path: Path, task: str) -> None:
    assert python(READ, task, home=tmp_path, HF_ENDPOINT=server) == (BOTH, "")
    assert python(READ, task, home=tmp_path, HF_HUB_OFFLINE="1") == (BOTH, "")


def test_what_datasets_prepared_is_found_without_a_network(server: str, tmp_path: Path) -> None:
    _, trouble = python(PREPARE, home=tmp_path, HF_ENDPOINT=server)
    assert list(tmp_path.rglob("glue-train.arrow")), trouble
    (tmp_path / "hub").rename(tmp_path / "gone")
    assert python(READ, "rte", home=tmp_path, HF_HUB_OFFLINE="1") == (BOTH, "")
    assert python(READ, "rte", home=tmp_path, HF_ENDPOINT="http://127.0.0.1:9") == (BOTH, "")


def test_nothing_listens(tmp_path: Path) -> None:
    started = time.monotonic()
    said, _ = python(READ, "rte", home=tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert "is not in the local cache" in said
    assert time.monotonic() - started < 10  # the client's own tries take half a minute


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
