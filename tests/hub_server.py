"""A small server that speaks the hub's protocol: repositories are folders, one commit each."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

COMMIT = "d" * 40
Repositories = Mapping[str, tuple[str, Path]]  # `models/NAME` or `datasets/NAME` to its revision and its folder


Refusals = Mapping[str, tuple[int, str]]  # `models/NAME` to the status and the hub's word for why (none for "")


@contextmanager
def serve(repositories: Repositories, refusals: Refusals = MappingProxyType({})) -> Iterator[str]:
    """Serve repositories on a free port of this machine, and refuse others; gives the address."""
    held = {"repositories": repositories, "refusals": refusals}
    running = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Hub,), held))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}"
    finally:
        running.shutdown()


class Hub(BaseHTTPRequestHandler):
    """Answers for the repositories it was made with: their description, their tree, their files."""

    repositories: Repositories
    refusals: Refusals
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        for stem, (status, why) in self.refusals.items():
            if path.startswith((f"/api/{stem}", f"/{stem.removeprefix('models/')}/")):
                return self.send(status, b"{}", why)
        for stem, (revision, folder) in self.repositories.items():
            files = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
            if path in (f"/api/{stem}", f"/api/{stem}/revision/{revision}", f"/api/{stem}/revision/{COMMIT}"):
                siblings = [{"rfilename": name} for name in files]
                about = {"id": stem.partition("/")[2], "sha": COMMIT, "siblings": siblings}
                return self.send(200, json.dumps(about).encode())
            for name in (revision, COMMIT):
                if path.startswith(f"/api/{stem}/tree/{name}"):
                    within = path.removeprefix(f"/api/{stem}/tree/{name}").strip("/")
                    entries = tree(files, within, "recursive=true" in self.path.lower())
                    return self.send(200, json.dumps(entries).encode()) if entries else self.send(404, b"{}")
                file = files.get(path.removeprefix(f"/{stem.removeprefix('models/')}/resolve/{name}/"))
                if file is not None:
                    return self.send(200, file.read_bytes())
        return self.send(404, b"{}")

    def send(self, status: int, body: bytes, why: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        if why:
            self.send_header("X-Error-Code", why)
        elif status == 404:
            entry = "/resolve/" in self.path or "/tree/" in self.path
            self.send_header("X-Error-Code", "EntryNotFound" if entry else "RepoNotFound")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def tree(files: Mapping[str, Path], within: str, recursive: bool) -> list[dict[str, object]]:
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


def peftcli(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, where the hub's libraries read their environment."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PEFTCLI_"))}
    clean = {name: value for name, value in clean.items() if not name.lower().endswith("_proxy")}
    root = str(Path(__file__).parent.parent)
    own = {"HF_HOME": str(home), "PYTHONPATH": root, "XDG_CACHE_HOME": str(home / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "peftcli", *arguments],
        env={**clean, **own, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=home,
    )
