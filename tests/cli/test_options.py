"""Options that several commands share: an empty path is refused by its option's name, and none is taken for another."""

from pathlib import Path

import pytest

from tests.commandline import Command


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["sweep", "demo", "--output", ""], "--output"),
        (["plan", "demo", "--output="], "--output"),
        (["plan", "demo", "--data-dir", ""], "--data-dir"),
        (["report", "demo", "--to", ""], "--to"),
        (["merge", "", "--output", "all"], "FOLDER"),
        (["merge", "one", "--output", ""], "--output"),
        (["predict", "some.delta", "--input", ""], "--input"),
        (["apply", "some.delta", "--out", ""], "--out"),
        (["evaluate", "some.delta", "--model", ""], "--model"),
        (["evaluate", ""], "DELTA"),
    ],
)
def test_an_empty_path_is_not_the_working_folder(peftcli: Command, arguments: list[str], option: str) -> None:
    ended = peftcli(*arguments)
    assert ended.is_one_line
    assert f"'{option}" in ended.err
    assert "it is empty" in ended.err


def test_the_working_folder_has_a_name(peftcli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PEFTCLI_DATA_DIR", "")  # as an environment variable it is as good as not set
    assert peftcli("plan", "demo", "--output", ".").code == 0
    assert "PATH" in peftcli("sweep", "--help").out
