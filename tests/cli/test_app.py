"""The command line as a user meets it: one line for every mistake, exit codes, start-up cost, the same bits twice."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from peftcli.cli import app as cli
from peftcli.records import beside
from tests import material

HEAVY = ("torch", "transformers", "pandas", "scipy")


def call(arguments, monkeypatch, capsys):
    """Run the command line in this process; gives exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["peftcli", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    out, err = capsys.readouterr()
    return ended.value.code, out, err


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
def test_a_mistake_is_one_line_and_exit_2(arguments, says, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, out, err = call(arguments, monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("peftcli: ")
    assert says in err
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
def test_a_hostile_recipe_is_one_line(command, content, says, monkeypatch, capsys, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    code, _, err = call([command, file], monkeypatch, capsys)
    assert code == 2
    assert err.count("\n") == 1
    assert says in err


def test_a_model_that_needs_a_network_says_what_to_do(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = call([*TRAIN, "--output", tmp_path], monkeypatch, capsys)
    assert code == 2
    assert all(help in err for help in ("--model minilm", "prefetch"))


@material.needs_data
def test_data_with_a_row_missing_is_refused(monkeypatch, capsys, tmp_path):
    source = material.REAL / "glue" / "rte"
    target = tmp_path / "glue" / "rte"
    target.mkdir(parents=True)
    for file in source.iterdir():
        table = pq.read_table(file)
        pq.write_table(table.slice(0, len(table) - file.name.startswith("train")), target / file.name)
    code, _, err = call([*TRAIN, "--model", "minilm", "--data-dir", tmp_path], monkeypatch, capsys)
    assert code == 2
    assert "2489" in err
    assert "2490" in err


def started(arguments):
    """CPU seconds of a process that runs the command line, and the heavy modules it imported."""
    program = (
        "import sys; sys.argv = ['peftcli', *sys.argv[1:]]\n"
        "from peftcli.__main__ import main\n"
        "try:\n    main()\n"
        f"finally:\n    print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["--help"], 0.5),
        (["plan", "demo"], 1.0),
        (["plan", "transferability/table1"], 1.0),
        (["params", "spafit/table2"], 1.0),
    ],
)
def test_start_up_is_quick_and_imports_nothing_heavy(arguments, seconds):
    runs = [started(arguments) for _ in range(3)]
    if "coverage" not in sys.modules:  # which counts every line that is run
        assert min(cost for cost, _ in runs) < seconds
    assert {modules for _, modules in runs} == {"[]"}


def without_times(path):
    body = json.loads(path.read_text())
    body.pop("sha256")
    body["cost"].pop("seconds")
    return body


@pytest.fixture
def trained(tiny_folder, environment, tmp_path):
    def train(*arguments):
        command = [sys.executable, "-m", "peftcli", "train", "--task", "demo", "--model", str(tiny_folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done, list((tmp_path / "results").rglob("*.json"))

    return train


def test_training_twice_gives_the_same_bits(trained):
    arguments = ["--strategy", "random:count=300", "--lr", "1e-3", "--epochs", "1", "--seed", "3"]
    first, files = trained(*arguments)
    assert "accuracy" in first.stdout
    predictions = beside.predictions(files[0])
    before, bytes_before = without_times(files[0]), predictions.read_bytes()
    again, files = trained(*arguments)
    assert "already recorded" in again.stderr
    assert without_times(files[0]) == before
    stamp = os.stat(files[0]).st_mtime_ns
    trained(*arguments, "--again")
    assert os.stat(files[0]).st_mtime_ns != stamp
    assert without_times(files[0]) == before
    assert predictions.read_bytes() == bytes_before


def test_seeds_make_runs_of_their_own(tiny_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    arguments = ["--task", "demo", "--model", tiny_folder, "--strategy", "layernorm", "--set", "steps=3"]
    given = ["train", *arguments, "--seed", "0", "--seed", "1", "--output", tmp_path / "results"]
    code, out, _ = call(given, monkeypatch, capsys)
    files = list((tmp_path / "results").rglob("*.json"))
    assert (code, len(files)) == (0, 2)
    losses = [json.loads(file.read_text())["training"][0]["loss"] for file in files]
    assert losses[0] != losses[1]
    assert out.count("completed") == 2


def test_version_and_help(monkeypatch, capsys):
    code, out, _ = call(["--version"], monkeypatch, capsys)
    assert (code, out.split()[0]) == (0, "peftcli")
    code, out, _ = call([], monkeypatch, capsys)
    assert code == 0
    assert "sweep" in out


def test_lists_as_json(monkeypatch, capsys):
    for what in ("strategies", "tasks", "models", "recipes"):
        code, out, _ = call(["list", what, "--json"], monkeypatch, capsys)
        assert code == 0
        assert all({"name", "summary"} <= set(row) for row in json.loads(out))


def test_params_as_json(monkeypatch, capsys):
    code, out, _ = call(["params", "transferability/table1", "--json"], monkeypatch, capsys)
    rows = {row["label"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["LayerNorms"]["trainable"] == 36864
    keys = {"strategy", "options", "total", "trainable", "head", "trainable_percent"}
    assert all(keys <= set(row) for row in rows.values())


def test_every_command_of_the_readme_exists(monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "README.md").read_text()
    named = {line.split()[1] for line in text.splitlines() if line.startswith("peftcli ")}
    assert named >= {"train", "sweep", "plan", "report"}
    for command in named:
        code, _, _ = call([command, "--help"], monkeypatch, capsys)
        assert code == 0
