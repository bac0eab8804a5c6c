"""A process of a sweep does as its parent says."""

import os
import signal
from pathlib import Path

import pytest

from peftcli import stopping
from peftcli.launchers import worker


class Ended(Exception):
    """What ends the process, in a test."""


@pytest.mark.parametrize(
    ("rank", "heard", "signals"),
    [(0, False, [signal.SIGTERM]), (0, True, []), (1, False, [])],
    ids=["first", "first, after a signal", "second"],
)
def test_a_byte_asks_the_first_process_to_save_and_the_end_of_input_ends_it(
    rank: int, heard: bool, signals: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bytes_read = [worker.STOP, b""]
    sent: list[int] = []
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        raise Ended

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda file, size: bytes_read.pop(0))
        patch.setattr(os, "kill", lambda pid, number: sent.append(number))
        patch.setattr(os, "_exit", end)
        patch.setattr(stopping, "heard", lambda: heard)
        with pytest.raises(Ended):
            worker._obey_parent(rank)
    assert (sent, codes, bytes_read) == (signals, [75], [])


def test_a_damaged_assignment_is_one_line_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "assignment.json").write_text("{}")
    monkeypatch.setattr(stopping, "install", lambda: None)
    monkeypatch.setattr(worker, "_obey_parent", lambda rank: None)
    monkeypatch.setattr(
        "sys.argv", ["worker", str(tmp_path / "assignment.json"), "0", "1", str(tmp_path / "meeting"), "1"]
    )
    with pytest.raises(SystemExit) as ended:
        worker.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("peftcli: ")
    assert said.count("\n") == 1
