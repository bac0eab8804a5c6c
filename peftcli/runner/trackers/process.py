"""A tracker's process: `python -m peftcli.runner.trackers.process NAME OUTPUT`, started by `follower`.

Standard input has a line for each piece of news; its end is the end of training, whatever ended that. What goes wrong
comes out as one line, and ends the process.
"""

import importlib
import json
import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from peftcli import files
from peftcli.errors import first_line
from peftcli.runner.trackers.news import Counts, News
from peftcli.runner.trackers.story import Story, Tracked

FOLDER = ".tracking"
PATIENCE = 60.0  # seconds to finish in, once training has ended


def main() -> None:
    """Track what standard input tells; the exit code is 0 unless the process breaks."""
    # Libraries greet on standard output: theirs goes nowhere, and the copy is for the complaint.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        follow(sys.argv[1], Path(sys.argv[2]), _lines())
    # Whatever a library raises: no login, no network, a full disk. Nothing of it is worth a run.
    except Exception as error:
        answer.write(first_line(error).rstrip("."))
    answer.flush()
    os._exit(0)  # libraries may wait, at the interpreter's end, for a network that is not there


def follow(name: str, output: Path, lines: Iterable[bytes]) -> None:
    """Hand on what lines tell to the tracker of this name. Raises whatever its library raises."""
    from accelerate import PartialState

    PartialState(cpu=True)  # accelerate's trackers ask it which process they are in: a single one
    tracker = importlib.import_module(f"peftcli.runner.trackers.{name}")
    tracked: dict[str, tuple[Tracked, Counts]] = {}
    for line in lines:
        news = News.read(line)
        run, has = tracked.get(news.story.id) or _begun(tracker.start(news.story), output, name, news.story)
        points = news.after(has)
        if points:
            run.write(points)
            has = news.upto
            if not run.anew:
                files.write(_counts(output, name, news.story), json.dumps(asdict(has)))
        tracked[news.story.id] = run, has
        if news.end is not None:
            run.end(news.end)
            del tracked[news.story.id]
    for run, _ in tracked.values():
        run.end(None)
    tracker.finish()


def _begun(run: Tracked, output: Path, name: str, story: Story) -> tuple[Tracked, Counts]:
    """A run, and how much of it an earlier process has handed on: a point must not stand twice in a curve."""
    file = _counts(output, name, story)
    if run.anew or not file.exists():
        return run, Counts()
    return run, Counts(**json.loads(file.read_text(encoding="utf-8")))


def _counts(output: Path, name: str, story: Story) -> Path:
    """Where it is counted how much of a run was handed on."""
    return output / FOLDER / name / f"{story.id}.json"


def _lines() -> Iterable[bytes]:
    yield from sys.stdin.buffer
    threading.Timer(PATIENCE, os._exit, (1,)).start()


if __name__ == "__main__":
    main()
