"""What the command line's tests share."""

import pytest

from tests import commandline
from tests.commandline import Command


@pytest.fixture
def peftcli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process: `peftcli("plan", file)` gives its exit code, stdout and stderr."""
    return commandline.runner(monkeypatch, capsys)
