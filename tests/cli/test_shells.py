"""A shell that asks gets offers on stdout and nothing else, soon; bash's words are put together where bash parts them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from peftcli.cli import shells
from tests import commandline
from tests.commandline import Command

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("parted", "joined", "head"),
    [
        ("peftcli tr", "peftcli tr", ""),
        ("peftcli --strategy lora : ra", "peftcli --strategy lora:ra", "lora:"),
        ("peftcli --strategy lora :", "peftcli --strategy lora:", "lora:"),
        ("peftcli --strategy lora : rank = 4,al", "peftcli --strategy lora:rank=4,al", "lora:rank="),
        ("peftcli --set a = 5 --only task =", "peftcli --set a=5 --only task=", "task="),
        ("peftcli --set a = --only", "peftcli --set a= --only", ""),
        ("peftcli --task = r", "peftcli --task=r", "--task="),
        # Where a user's bash does not part words at a colon, all of the word is replaced.
        ("peftcli --strategy lora:ra", "peftcli --strategy lora:ra", ""),
    ],
)
def test_words_that_bash_parted_are_put_together(parted: str, joined: str, head: str) -> None:
    words, whole = parted.split(), joined.split()
    assert shells.join(words, len(words) - 1) == (whole, len(whole) - 1, head)
    # What stands behind the word that is completed is left out, and an empty word is one.
    assert shells.join([*words, "more"], len(words) - 1) == (whole, len(whole) - 1, head)
    if head == "":
        assert shells.join(words, len(words)) == ([*whole, ""], len(whole), "")


def test_what_bash_keeps_is_cut_off() -> None:
    assert shells.cut("lora:rank=", "lora:") == "rank="
    assert shells.cut("rte", "--task=") == "rte"
    assert shells.cut("lora:rank=", "--strategy=lora:") == "rank="
    assert shells.cut("train", "") == "train"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "tcsh", ""])
@pytest.mark.parametrize("words", [None, "", "'", 'peftcli train --strategy "lay', "peftcli \x00"])
def test_whatever_is_asked_nothing_is_said_on_stderr(
    peftcli: Command, monkeypatch: pytest.MonkeyPatch, shell: str, words: str | None
) -> None:
    monkeypatch.setenv(shells.VARIABLE, f"complete_{shell}")
    for name in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"):
        monkeypatch.delenv(name, raising=False)
        if words is not None and "\x00" not in words:
            monkeypatch.setenv(name, words)
    monkeypatch.setenv("COMP_CWORD", "one" if words and "\x00" in words else "9")
    assert peftcli().err == ""


def test_a_mistake_in_the_program_is_not_printed_into_the_line(
    peftcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peftcli.tasks import registry

    monkeypatch.setattr(registry, "TASKS", None)
    monkeypatch.setenv(shells.VARIABLE, "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "peftcli\ntrain\n--task\nr")
    monkeypatch.setenv("COMP_CWORD", "3")
    ended = peftcli()
    assert (ended.code, ended.out, ended.err) == (1, "", "")


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("tr", 0.5), ("train --strategy layernorm:la", 1.0), ("sweep transferability/table1 --only task=r", 1.25)],
)
def test_an_answer_is_quick_and_imports_nothing_heavy(
    line: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(shells.VARIABLE, "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"peftcli {line}")
    # As for other commands (tests/cli/test_app.py): one of three that is quick is enough, on a slow machine less quick.
    for _ in range(3):
        process = commandline.fresh(())
        assert (process.code, process.heavy) == (0, ())
        assert "_arguments" in process.out
        if process.seconds < seconds * max(1.0, commandline.yardstick() / 0.22):
            return
    assert "coverage" in sys.modules, "slow without coverage, which counts every line that is run"


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_by_the_program_s_own_script(tmp_path: Path) -> None:
    program = tmp_path / "peftcli"
    program.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c \'import sys; sys.argv[0] = "peftcli"; '
        'from peftcli.__main__ import main; main()\' "$@"\n'
    )
    program.chmod(0o755)
    script = """
        eval "$(peftcli --show-completion bash)"
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _peftcli_completion peftcli; echo "${COMPREPLY[*]}"; }
        complete -p peftcli
        ask peftcli swe
        ask peftcli train --strategy layernorm : layers = 3,emb
        ask peftcli train --set evaluate_every = ""
        ask peftcli sweep nosuch.yaml --only task =
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    registered, *answers = done.stdout.splitlines()
    assert registered == "complete -o default -F _peftcli_completion peftcli"
    assert answers == ["sweep", "3,embedding= 3,embedding=true 3,embedding=false", r"1\ epoch", ""]
