"""The README's commands, group by group, and by which rules a test runs each of them on small things in a few seconds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEAD = re.compile(r"^(?:## (?P<section>.+)$|\*\*(?P<part>[^*]+)\*\*)", re.MULTILINE)

# What stands for something else in the README's commands: word by word.
WORDS = {
    "DATA": "data",  # a folder laid out like the hub, with small tasks of the official sizes
    "RECIPE": "demo",
    "minilm": "tiny",  # a folder with a small BERT of twelve layers
    "bert-large-cased": "tiny",
    "4:00:00": "20",
    "4": "2",  # processes
}
SMALL = "--set model=tiny --set steps=1 --set max_train_samples=8 --set max_length=32"
# Three of the table's thirteen columns: a run evaluates 277 examples in twelve layers, whatever it trains.
THREE = "--set strategies=[layernorm:layers=1,layernorm:layers=12,full]"
FREEZING = f"{SMALL} --set tasks=[rte] --set strategies=[layernorm] --cohort 1"
# What is added to a command, by how it begins. A command that begins like none of these fails the test.
ADDED = {
    "list ": "",
    "params ": "",
    "schema ": "",
    "train ": "--epochs 1 --max-train-samples 8 --max-length 32",
    "plan transferability/table3": SMALL,
    "sweep transferability/table3": f"{SMALL} {THREE} --only task=rte --only seed=0 --only learning_rate=1e-3",
    "report transferability/table3": SMALL,
    "doctor reviews.yaml": "",
    "sweep reviews.yaml": "",
    "report reviews.yaml": "",
    "site results --to site --recipe reviews.yaml": "",
    "apply ": "",
    "evaluate ": "",
    "predict ": "",
    "import freezing/authors_runs.csv": "",
    "report freezing/table1 --output authors": "",
    "prefetch transferability/table1": "--set tasks=[rte]",
    "doctor transferability/table1": "--set tasks=[rte]",
    "sweep freezing/table1 --launcher accelerate": f"{FREEZING} --only seed=0",
    "sweep freezing/table1 --launcher slurm": f"{FREEZING} --only seed=1",
    "merge ": "",
    "records ": "",
}
AS_WRITTEN = ("reviews.yaml",)  # commands with these words are run without any change


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, and its lines."""

    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines without their remarks and without empty ones."""
        return [line for raw in self.text.splitlines() if (line := re.sub(r"\s{2,}#.*", "", raw).strip())]


def groups() -> dict[str, list[Block]]:
    """Give the blocks under every head (a section, or a bold word that a paragraph begins with), in order."""
    found: dict[str, list[Block]] = {}
    bare = FENCE.sub(lambda match: "".ljust(len(match[0])), TEXT)  # a line in a block is no head
    heads = [(match.start(), match["section"] or match["part"]) for match in HEAD.finditer(bare)]
    for match in FENCE.finditer(TEXT):
        above = [name for start, name in heads if start < match.start()]
        if not above:  # the table on the front page: shown, not run
            continue
        name = above[-1]
        found.setdefault(name, []).append(Block(match[1], match[2]))
    return found


def in_sentences() -> Iterator[str]:
    """Give the commands that stand in sentences, such as `make lint`; a name alone, like `peftcli`, is none."""
    for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", TEXT)):
        if re.match(r"(peftcli|make) \w", span):
            yield span
        elif span.startswith("list "):
            yield f"peftcli {span}"


def substituted(line: str) -> str:
    """Give what is run for a line with `peftcli`, without that word. Raises KeyError where no rule covers it."""
    words = line.split()[1:]
    command = " ".join(words)
    begun = [begin for begin in ADDED if f"{command} ".startswith(begin)]
    if not begun:
        raise KeyError(f"no rule of tests/readme.py covers: {line}")
    if not any(word in AS_WRITTEN for word in words):
        words = [WORDS.get(word, word) for word in words]
    return f"{' '.join(words)} {ADDED[max(begun, key=len)]}".strip()
