"""Every command in the README runs, on small things by the rules of `tests/readme.py`."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import peftcli
from peftcli import files, records
from peftcli.cli import app as cli
from peftcli.experiment import plan, recipe
from peftcli.tasks import registry as tasks
from tests import folders, hub_server, readme
from tests.material import needs_minilm, write_split

ROOT = Path(__file__).parent.parent
GROUPS = {name: blocks for name, blocks in readme.groups().items() if any(b.language == "console" for b in blocks)}
TASKS = ("rte", "mrpc")
SBATCH = '#!/bin/sh\ncat "$1" >>submitted\necho Submitted batch job 7\n'  # says yes; a real one is in tests/slurm


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small model `tiny`, and in `data` two tasks of GLUE with as many rows as the official ones."""
    folder = tmp_path_factory.mktemp("things")
    folders.bert(folder / "tiny", num_hidden_layers=12)
    for task in map(tasks.get, TASKS):
        for split in task.sizes:
            write_split(folder / "data" / "glue" / task.name, split, rows(task, split))
    return folder


def rows(task: tasks.Task, split: str) -> dict[str, list[object]]:
    """Rows with as many of every label as the task's row says."""
    labels = [label for label, count in enumerate(task.counts.get(split, ())) for _ in range(count)]
    labels = labels or [-1] * task.sizes[split]
    return {**{name: [f"row {n} of words" for n in range(len(labels))] for name in task.text},
            "idx": list(range(len(labels))), "label": labels}  # fmt: skip


@pytest.fixture
def folder(things: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that a group's commands run in."""
    for name in ("tiny", "data"):
        (tmp_path / name).symlink_to(things / name)
    (tmp_path / "bin").mkdir()
    for name, text in {"sbatch": SBATCH, **dict.fromkeys(("squeue", "srun", "scontrol"), "#!/bin/sh\n")}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PEFTCLI_DATA_DIR", str(things / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(folder: Path) -> None:
    (folder / "pairs.csv").write_text("sentence1,sentence2\nrow of words,row\nwords,words of row\n")


def another(folder: Path) -> None:
    shutil.copytree(folder / "results", folder / "results-of-another-machine")


# What a command names that the reader has already.
MADE: dict[str, Callable[[Path], None]] = {"pairs.csv": pairs, "results-of-another-machine": another}


def peftcli_line(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a line of the README in this process; gives the exit code."""
    for name, make in MADE.items():
        if name in line.split():
            make(folder)
    words = []
    for word in shlex.split(readme.substituted(line)):
        found = (
            [str(file.relative_to(folder)) for file in folder.glob(word.replace("ID", "*"))] if "-ID." in word else []
        )
        assert "-ID." not in word or len(found) == 1, f"{word}: {found}"
        words += found or [word]
    monkeypatch.setattr("sys.argv", ["peftcli", *words])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    return int(ended.value.code or 0)


def make_line(line: str) -> int:
    """See that a target exists and what it would do; gives make's exit code."""
    command = ["make", "--dry-run", "--no-print-directory", *line.split()[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode


def run(block: readme.Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if block.language == "yaml" and block.text.startswith("# "):
        (folder / block.text.splitlines()[0].removeprefix("# ")).write_text(block.text)
    for line in block.lines if block.language == "console" else ():
        if line.startswith("peftcli "):
            code = peftcli_line(line, folder, monkeypatch)
        elif line.startswith("make "):
            code = make_line(line)
        else:
            code = subprocess.run(["bash", "-c", line], cwd=folder).returncode
        assert code == 0, line


@needs_minilm
@pytest.mark.parametrize("name", [name for name in GROUPS if name != "Without a network"])
def test_the_commands_run_in_order(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for block in GROUPS[name]:
        run(block, folder, monkeypatch)
    (folder / "said").write_text(capsys.readouterr().out)
    SEEN.get(name, lambda _: None)(folder)


def every_day(folder: Path) -> None:
    sound, _ = records.read_all(folder / "results")
    assert [record.run.strategy for record in sound].count("layernorm") == 1 + 2
    assert [record.run.strategy for record in sound].count("full") == 1
    assert len(sound) == 1 + 1 + 3
    assert {record.status for record in sound} == {"completed"}
    assert r"\begin{tabular}" in (folder / "table3.tex").read_text()


def own_data(folder: Path) -> None:
    sound, _ = records.read_all(folder / "results")
    assert [record.status for record in sound] == ["completed"] * 10
    said = (folder / "said").read_text()
    assert "data reviews: 4 train, 2 validation" in said
    assert re.search(r"^layernorm +[\d.% ]*\d+\.\d±", said, re.MULTILINE)
    (line,) = set(re.findall(r"`(peftcli\.load_records\([^`]*\))`", readme.TEXT))
    assert eval(line, {"peftcli": peftcli})["id"].nunique() == 10


def small_models(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    assert AutoModelForSequenceClassification.from_pretrained(folder / "merged").config.num_hidden_layers == 12
    assert len((folder / "RTE.tsv").read_text().splitlines()) == 3001


def processes_and_machines(folder: Path) -> None:
    script = (folder / "submitted").read_text()
    assert "#SBATCH --partition=gpu" in script
    assert "#SBATCH --time=20" in script
    assert len(records.read_all(folder / "joined")[0]) == 3


def runs_of_others(folder: Path) -> None:
    said = " ".join((folder / "said").read_text().split())
    assert "Imported, not trained here: 387 runs from Dinh Van Chi" in said
    assert "[does not hold] BitFit's best learning rate gains 3 points" in said


SEEN: dict[str, Callable[[Path], None]] = {
    "Every day": every_day,
    "Your own data": own_data,
    "Small models to keep": small_models,
    "Runs that others made": runs_of_others,
    "Many processes and machines": processes_and_machines,
}


def test_the_commands_for_a_node_without_a_network_run(folder: Path) -> None:
    (block,) = GROUPS["Without a network"]
    hub = {
        "models/bert-base-uncased": ("main", folder / "tiny"),
        "datasets/nyu-mll/glue": ("main", folder / "data/glue"),
    }
    home = folder / "home"
    home.mkdir()
    with hub_server.serve(hub) as address:
        for line in block.lines:
            words = shlex.split(readme.substituted(line))
            off = {} if words[0] == "prefetch" else {"HF_HUB_OFFLINE": "1"}
            done = hub_server.peftcli(*words, home=home, HF_ENDPOINT=address, **off)
            assert done.returncode == 0, done.stderr + done.stdout
            assert "data rte: 2,490 train, 277 validation" in done.stdout


def test_the_groups_are_those_that_are_looked_at() -> None:
    assert set(SEEN) < set(GROUPS)
    assert set(GROUPS) == {*SEEN, "Two commands", "Without a network"}


def test_the_commands_in_sentences_run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    found = list(readme.in_sentences())
    assert {"make bench", "peftcli list tasks", "peftcli params RECIPE"} <= set(found)
    for line in found:
        assert (make_line(line) if line.startswith("make ") else peftcli_line(line, folder, monkeypatch)) == 0, line


def test_a_command_that_no_rule_covers_is_refused() -> None:
    with pytest.raises(KeyError, match=r"no rule of tests/readme\.py covers: peftcli sweep other/table"):
        readme.substituted("peftcli sweep other/table")
    assert make_line("make no-such-target") != 0


@pytest.mark.parametrize(
    "text", [b.text for blocks in readme.groups().values() for b in blocks if b.language == "yaml"]
)
def test_recipes_are_recipes(text: str, folder: Path) -> None:
    (folder / "reviews").mkdir()
    for split in ("train", "validation"):
        (folder / "reviews" / f"{split}.csv").write_text("text,label\na,good\nb,bad\n")
    files.write(folder / "some.yaml", text)
    assert plan.expand(recipe.load(folder / "some.yaml"))


def test_the_strategy_shown_is_a_strategy() -> None:
    from peftcli.experiment import parameters
    from peftcli.strategies import registry, whole

    (block,) = (b for b in readme.groups()["A strategy"] if b.language == "python")
    before = set(registry.STRATEGIES)
    try:
        exec(compile(block.text, "README", "exec"), vars(whole).copy())
        counts = parameters.count("minilm", "queries", {"layers": [1]}, "pair", 2)
        assert counts.trainable == 384 * 384 + 384
    finally:
        for name in set(registry.STRATEGIES) - before:
            del registry.STRATEGIES[name]
