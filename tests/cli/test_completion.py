"""What a shell is offered: the program's own strategies, tasks, recipes and settings, asked of the library's machinery."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from peftcli.cli import completion, shells
from peftcli.experiment import plan, recipe
from peftcli.experiment.settings import NAMES
from peftcli.launchers import launch
from peftcli.models.published import PUBLISHED_SIZES
from peftcli.report import report
from peftcli.strategies import STRATEGIES
from peftcli.tasks.registry import TASKS
from tests.commandline import Command

Ask = Callable[[str], list[str]]
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(params=SHELLS)
def ask(request: pytest.FixtureRequest, peftcli: Command, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask as a shell's script does what may follow a line; the whole words that are offered."""

    def offered(line: str) -> list[str]:
        monkeypatch.setenv(shells.VARIABLE, f"complete_{request.param}")
        if request.param == "bash":
            # As bash parts the line, with what stands before the last sign put back.
            words = re.findall(r"[:=]+|[^\s:=]+", line) + ([""] if line.endswith(" ") else [])
            monkeypatch.setenv("COMP_WORDS", "\n".join(words))
            monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
            word = line.rpartition(" ")[2]
            head = re.sub(r"[^:=]*$", "", word.partition("=")[2] if word.startswith("--") else word)
        else:
            monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
            monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
            head = ""
        ended = peftcli()
        assert ended.err == ""
        # Behind commands zsh and fish get what they do.
        if request.param == "zsh":
            return [word.replace("\\\\", "") for word in re.findall(r'^[^"]*"([^"]*)"', ended.out, re.MULTILINE)]
        return [head + word.partition("\t")[0].replace("\\", "") for word in ended.out.splitlines() if word]

    return offered


def test_every_name_is_offered(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    expected = {
        "peftcli train --strategy ": sorted(STRATEGIES),
        "peftcli train --task ": list(TASKS),
        "peftcli train --model ": list(PUBLISHED_SIZES),
        "peftcli params --model ": list(PUBLISHED_SIZES),
        "peftcli sweep ": recipe.shipped(),
        "peftcli import x.csv --recipe ": recipe.shipped(),
        "peftcli sweep demo --launcher ": list(launch.LAUNCHERS),
        "peftcli report demo --format ": list(report.FORMATS),
        "peftcli apply x --format ": ["transformers", "peft"],
        "peftcli list ": ["strategies", "tasks", "models", "recipes"],
        "peftcli train --set ": [f"{name}=" for name in NAMES],
        "peftcli sweep demo --set ": [f"{name}=" for name in (*NAMES, *recipe.KEYS)],
        "peftcli sweep demo --only ": [f"{key}=" for key in plan.ONLY],
    }
    assert {line: ask(line) for line in expected} == expected
    assert "tensorboard" in ask("peftcli sweep demo --track ")
    assert {"train", "sweep", "records"} < set(ask("peftcli "))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("peftcli train --strategy layernorm_a", ["layernorm_attention"]),
        ("peftcli train --strategy layernorm:", ["layernorm:layers=", "layernorm:embedding="]),
        ("peftcli train --strategy layernorm:layers=3,e", [f"layernorm:layers=3,embedding={v}" for v in ("", "true", "false")]),
        ("peftcli train --strategy random:draw=", ["random:draw=exact", "random:draw=bernoulli"]),
        ("peftcli params --strategy lora:ra", ["lora:rank=", "lora:rank=8"]),
        ("peftcli train --strategy=bitfit:over=e", ["bitfit:over=encoder"]),
        ("peftcli train --strategy nosuch:", []),
        ("peftcli train --task=rt", ["rte"]),
        ("peftcli train --strategy lora:rank=4 --task mn", ["mnli"]),
        ("peftcli train --set schedule=", ["schedule=constant", "schedule=linear", "schedule=cosine"]),
        ("peftcli train --set restore", ["restore_best=", "restore_best=true", "restore_best=false"]),
        ("peftcli train --set batch_size=16 --set batch", ["batch_size=", "batch_size=16"]),
        ("peftcli train --set see", []),
        ("peftcli sweep demo --set see", ["seeds="]),
        ("peftcli sweep transferability/table1 --only task=r", ["task=rte"]),
        ("peftcli sweep demo --only strategy=f", ["strategy=frozen", "strategy=full"]),
        ("peftcli sweep demo --only seed=", ["seed=0", "seed=1", "seed=2"]),
        ("peftcli sweep --only task=", []),
        ("peftcli import x.csv --recipe demo --column learning", ["learning_rate="]),
        ("peftcli --version swe", ["sweep"]),
        ("peftcli nosuch --task swe", ["sweep"]),
        ("peftcli train --nosuch --task rt", ["rte"]),
    ],
)  # fmt: skip
def test_what_is_typed_is_gone_on_with(ask: Ask, line: str, expected: list[str]) -> None:
    assert ask(line) == expected


def test_recipes_of_a_folder_and_saved_deltas_are_files(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.yaml", "sub/other.yaml", "sub/protocol.yaml", "results/rte/full-0.delta.safetensors"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert ask("peftcli sweep mi") == [*(name for name in recipe.shipped() if name.startswith("mi")), "mine.yaml"]
    assert ask("peftcli sweep sub/") == ["sub/other.yaml"]
    assert ask("peftcli sweep ./m") == ["./mine.yaml"]
    for begun in ("", "results/", "results/rte/f"):
        assert ask(f"peftcli apply {begun}") == ["results/rte/full-0.delta.safetensors"]
    # A recipe that cannot be read is told by the command; here it has nothing to offer.
    assert ask("peftcli sweep mine.yaml --only task=") == []
    assert ask("peftcli sweep nosuch --only task=") == []


def test_words_that_are_listed_twice_are_the_same() -> None:
    assert tuple(launch.LAUNCHERS) == completion.LAUNCHERS
    assert report.FORMATS == completion.FORMATS
