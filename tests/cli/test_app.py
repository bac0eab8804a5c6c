"""The command line as a user meets it: one line for every mistake, exit codes, start-up cost."""

import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests import commandline, material
from tests.commandline import Command

TRAIN = ["train", "--task", "rte", "--strategy", "layernorm"]
BAD = {
    "strategy": (["train", "--task", "rte", "--strategy", "layernom"], "did you mean 'layernorm'"),
    "option": (["train", "--task", "rte", "--strategy", "layernorm:layer=3"], "did you mean 'layers'"),
    "option value": (["train", "--task", "rte", "--strategy", "random:draw=exac"], "did you mean 'exact'"),
    "task": (["train", "--task", "rt", "--strategy", "layernorm"], "did you mean 'rte'"),
    "set key": ([*TRAIN, "--set", "batchsize=3"], "did you mean 'batch_size'"),
    "set form": ([*TRAIN, "--set", "batch_size"], "is not key=value"),
    "model folder": ([*TRAIN, "--model", "./not-there"], "does not exist"),
    "rate text": ([*TRAIN, "--lr", "fast"], "'fast'"),
    "rate negative": ([*TRAIN, "--lr", "-1"], "more than 0"),
    "rate nan": ([*TRAIN, "--lr", "nan"], "nan"),
    "rate .nan": ([*TRAIN, "--lr", ".nan"], "nan"),
    "seed": ([*TRAIN, "--seed", "-1"], "0 or more"),
    "layer": (["train", "--task", "rte", "--strategy", "layernorm:layers=99"], "the nearest is 12"),
    "outliers": (["train", "--task", "rte", "--strategy", "layernorm_outlier:n=100000"], "the nearest is 1536"),
    "batch": ([*TRAIN, "--batch-size", "0"], "1 or more"),
    "data folder": ([*TRAIN, "--model", "minilm", "--data-dir", "not-there"], "not-there"),
    "command": (["trian"], "did you mean 'train'"),
    "flag": ([*TRAIN, "--seeds", "1"], "did you mean '--seed'"),
    "missing flag": (["train", "--task", "rte"], "--strategy"),
    "recipe": (["sweep", "transferability/table9"], "did you mean 'transferability/table"),
    "list": (["list", "strategy"], "did you mean 'strategies'"),
    "format": (["report", "demo", "--format", "pdf"], "terminal"),
    "against": (["report", "demo", "--against", "papers"], "did you mean 'paper'"),
    "params": (["params"], "RECIPE"),
    "retry": (["sweep", "demo", "--retry", "all"], "failed"),
    "only": (["sweep", "demo", "--only", "tasks=rte"], "did you mean 'task'"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD)
def test_a_mistake_is_one_line_and_exit_2(
    arguments: list[str], says: str, peftcli: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ended = peftcli(*arguments)
    assert ended.is_one_line
    assert says in ended.err
    assert not (tmp_path / "results").exists()


RECIPES = {
    "empty": ("", "is empty"),
    "a list": ("- 1\n", "mapping"),
    "twice": ("title: a\ntitle: b\n", "stands twice"),
    "unknown key": ("title: a\ntask: [rte]\n", "did you mean 'tasks'"),
    "bytes": (b"\xff\xfe\x00", "UTF-8"),
    "python": ("title: !!python/object/apply:os.system [echo]\n", "not YAML"),
    "bomb": ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(8)), "100000"),
    "deep": ("title: " + "[" * 200 + "]" * 200, ""),
}  # fmt: skip


@pytest.mark.parametrize(("content", "says"), RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("command", ["plan", "sweep", "report", "params"])
def test_a_hostile_recipe_is_one_line(
    command: str, content: str | bytes, says: str, peftcli: Command, tmp_path: Path
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = peftcli(command, file)
    assert ended.is_one_line
    assert says in ended.err


def test_a_model_that_needs_a_network_says_what_to_do(
    peftcli: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    ended = peftcli(*TRAIN, "--output", tmp_path)
    assert ended.code == 2
    assert all(help in ended.err for help in ("--model minilm", "prefetch"))


@material.needs_data
def test_data_with_a_row_missing_is_refused(peftcli: Command, tmp_path: Path) -> None:
    source = material.REAL / "glue" / "rte"
    target = tmp_path / "glue" / "rte"
    target.mkdir(parents=True)
    for file in source.iterdir():
        table = pq.read_table(file)
        pq.write_table(table.slice(0, len(table) - file.name.startswith("train")), target / file.name)
    ended = peftcli(*TRAIN, "--model", "minilm", "--data-dir", tmp_path)
    assert ended.code == 2
    assert "2489" in ended.err
    assert "2490" in ended.err


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["--help"], 0.5),
        (["plan", "demo"], 1.0),
        (["plan", "transferability/table1"], 1.25),  # 1,512 runs, and claims that count another table too
        (["params", "spafit/table2"], 1.0),
        (["schema"], 1.0),
    ],
)
def test_start_up_is_quick_and_imports_nothing_heavy(arguments: list[str], seconds: float) -> None:
    # Others may be at work on the machine: the quickest of three counts, and one that is quick is enough. A slow machine
    # is given more: what a bare interpreter needs for the libraries every command starts with was 0.22 s where the
    # bounds were set.
    for _ in range(3):
        process = commandline.fresh(arguments)
        assert (process.code, process.heavy) == (0, ())
        if process.seconds < seconds * max(1.0, commandline.yardstick() / 0.22):
            return
    assert "coverage" in sys.modules, "slow without coverage, which counts every line that is run"


def test_version_and_help(peftcli: Command) -> None:
    version = peftcli("--version")
    assert (version.code, version.out.split()[0]) == (0, "peftcli")
    shown = peftcli()
    assert shown.code == 0
    assert "sweep" in shown.out


def test_every_command_of_the_readme_exists(peftcli: Command) -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    named = {line.split()[1] for line in text.splitlines() if line.startswith("peftcli ")}
    assert named >= {"train", "sweep", "plan", "report"}
    for command in named:
        assert peftcli(command, "--help").code == 0


def test_the_help_shows_every_command_s_summary_whole_in_80_columns(
    peftcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    _, _, listed = peftcli("--help").out.partition("Commands:\n")
    lines = listed.splitlines()
    assert len(lines) == len(commandline.COMMAND.commands)
    for line in lines:
        assert len(line) <= 80
        assert line.endswith("."), line
        assert not line.endswith(".."), line
        # The first sentence of what the command's own help says.
        name, summary = line.split(maxsplit=1)
        assert summary in " ".join(peftcli(name, "--help").out.split()), name


@pytest.mark.parametrize("command", [["sweep", "demo"], [*TRAIN, "--task", "demo", "--model", "minilm"]])
def test_an_output_that_is_a_dangling_link_is_told_before_anything_is_trained(
    peftcli: Command, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    ended = peftcli(*command, "--output", tmp_path / "link")
    assert ended.code == 2
    assert f"{tmp_path / 'link'} is a link to {tmp_path / 'nowhere'}, which does not exist" in ended.err
