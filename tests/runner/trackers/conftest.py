"""Four tiny runs that are stopped and go on, once for all trackers, and what is told of both lives."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from peftcli.records import Record
from peftcli.runner import sweep, tracking
from peftcli.runner.trackers.news import News
from tests.runner import tracked
from tests.trained import Quiet


@dataclass
class Listener:
    """A follower that keeps what it is told."""

    name: str
    output: Path
    told: list[News] = field(default_factory=list)

    def tell(self, news: News) -> None:
        self.told.append(news)

    def finish(self) -> None: ...

    def wait(self, seconds: float) -> None: ...


@dataclass
class Lives:
    """The lines of each life, and the records in the end."""

    lines: list[list[bytes]]
    records: list[Record]


@pytest.fixture(scope="session")
def lives(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Lives:
    folder = tmp_path_factory.mktemp("lives")
    listeners: list[Listener] = []

    def listen(name: str, output: Path) -> Listener:
        listeners.append(Listener(name, output))
        return listeners[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "Follower", listen)
        patch.setattr(tracking, "SECONDS", 0.0)
        recipe = tracked.recipe(folder, tiny_folder)
        unit, settings = tracked.stop_after(6, recipe, folder / "out", "any")
        sweep.train(unit, settings, Quiet())  # type: ignore[arg-type]
    lines = [[news.line() for news in listener.told] for listener in listeners]
    return Lives(lines, [tracked.record(settings.output, run) for run in unit.runs])
