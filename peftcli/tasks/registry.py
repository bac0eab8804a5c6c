"""The tasks: one row each, with data set, text columns, labels, metrics, and the sizes that are checked. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from peftcli.errors import UserError, unknown
from peftcli.tasks import demo

Kind = Literal["sentence", "pair", "choice", "span", "token", "regression", "imported"]
SPAN_STARTS = ("span1_index", "span2_index")  # which word of the text, split at white space, a span begins with


@dataclass(frozen=True)
class Task:
    """One task: what its data set holds, what a model is asked, and how the answers are scored.

    `sizes` and `counts` are what the published data holds; data that differs is refused unless the user allows it.
    """

    name: str
    data: str  # the hub's data set repository
    subset: str | None  # the repository's configuration
    kind: Kind
    text: tuple[str, ...]  # the text columns, in the order in which they are joined
    labels: tuple[
        str, ...
    ]  # label names in the hub's order, so that a label's number is its index; none for regression
    metrics: tuple[str, ...]  # the first chooses the best evaluation where a recipe names no other
    sizes: Mapping[str, int]  # split -> rows
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # split -> rows (token tasks: words) a label
    evaluation: tuple[str, ...] = ("validation",)  # the labelled splits besides `train`
    test: str = "test"
    label: str = "label"  # the label column
    note: str = ""  # what `peftcli list tasks` adds
    submitted_as: Literal["name", "number"] = "name"  # how the GLUE server takes a class label

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns of an example without its label."""
        return (*self.text, *SPAN_STARTS) if self.kind == "span" else self.text

    @property
    def joins_texts(self) -> bool:
        """Whether a sequence is of two texts."""
        return self.kind not in ("span", "token") and len(self.text) > 1

    @property
    def columns(self) -> dict[str, str]:
        """Table column -> the split it reads: one column named after the task, or (MNLI) one for each split."""
        if len(self.evaluation) == 1:
            return {self.name: self.evaluation[0]}
        return {f"{self.name}_{split.removeprefix('validation_')}": split for split in self.evaluation}


# Data sets, and what several rows share.
GLUE, SUPERGLUE = "nyu-mll/glue", "aps/super_glue"
PAIR = ("sentence1", "sentence2")
ENTAILMENT = ("entailment", "not_entailment")
NLI = ("entailment", "neutral", "contradiction")
NER = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-MISC", "I-MISC")
CORRELATIONS = ("spearman", "pearson", "mean_pearson_spearman")
# The tags of NLTK's sample in alphabetical order. -NONE- tags the empty elements, which its tagged sentences contain.
TREEBANK = (
    *("#", "$", "''", ",", "-LRB-", "-NONE-", "-RRB-", ".", ":", "CC", "CD", "DT", "EX", "FW", "IN", "JJ", "JJR"),
    *("JJS", "LS", "MD", "NN", "NNP", "NNPS", "NNS", "PDT", "POS", "PRP", "PRP$", "RB", "RBR", "RBS", "RP"),
    *("SYM", "TO", "UH", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ", "WDT", "WP", "WP$", "WRB", "``"),
)
F1_FIRST = ("f1", "accuracy", "mean_accuracy_f1")

# Labels stand in the order of the hub's files, which differs between entailment tasks (RTE, WNLI, CB).
_ROWS = (
    Task(
        "cola", GLUE, "cola", "sentence", ("sentence",), ("unacceptable", "acceptable"), ("matthews", "accuracy"),
        {"train": 8551, "validation": 1043, "test": 1063}, {"train": (2528, 6023), "validation": (322, 721)},
        submitted_as="number",
    ),
    Task(
        "sst2", GLUE, "sst2", "sentence", ("sentence",), ("negative", "positive"), ("accuracy",),
        {"train": 67349, "validation": 872, "test": 1821}, {"train": (29780, 37569), "validation": (428, 444)},
        submitted_as="number",
    ),
    Task(
        "mrpc", GLUE, "mrpc", "pair", PAIR, ("not_equivalent", "equivalent"), F1_FIRST,
        {"train": 3668, "validation": 408, "test": 1725}, {"train": (1194, 2474), "validation": (129, 279)},
        submitted_as="number",
    ),
    Task(
        "stsb", GLUE, "stsb", "regression", PAIR, (), CORRELATIONS,
        {"train": 5749, "validation": 1500, "test": 1379},
    ),
    Task(
        "qqp", GLUE, "qqp", "pair", ("question1", "question2"), ("not_duplicate", "duplicate"), F1_FIRST,
        {"train": 363846, "validation": 40430, "test": 390965},
        {"train": (229468, 134378), "validation": (25545, 14885)},
        submitted_as="number",
    ),
    Task(
        "mnli", GLUE, "mnli", "pair", ("premise", "hypothesis"), NLI, ("accuracy",),
        {"train": 392702, "validation_matched": 9815, "validation_mismatched": 9832, "test_matched": 9796},
        {"train": (130899, 130900, 130903), "validation_matched": (3479, 3123, 3213)},
        evaluation=("validation_matched", "validation_mismatched"), test="test_matched",
    ),
    Task(
        "qnli", GLUE, "qnli", "pair", ("question", "sentence"), ENTAILMENT, ("accuracy",),
        {"train": 104743, "validation": 5463, "test": 5463}, {"validation": (2702, 2761)},
    ),
    Task(
        "rte", GLUE, "rte", "pair", PAIR, ENTAILMENT, ("accuracy",),
        {"train": 2490, "validation": 277, "test": 3000}, {"train": (1249, 1241), "validation": (146, 131)},
    ),
    Task(
        "wnli", GLUE, "wnli", "pair", PAIR, ("not_entailment", "entailment"), ("accuracy",),
        {"train": 635, "validation": 71, "test": 146}, {"train": (323, 312), "validation": (40, 31)},
        submitted_as="number",
    ),
    Task(
        "cb", SUPERGLUE, "cb", "pair", ("premise", "hypothesis"), ("entailment", "contradiction", "neutral"),
        ("accuracy", "f1_macro"),
        {"train": 250, "validation": 56, "test": 250}, {"train": (115, 119, 16), "validation": (23, 28, 5)},
    ),
    Task(
        "copa", SUPERGLUE, "copa", "choice", ("premise", "choice1", "choice2", "question"), ("choice1", "choice2"),
        ("accuracy",),
        {"train": 400, "validation": 100, "test": 500}, {"train": (195, 205), "validation": (55, 45)},
    ),
    Task(
        "wsc", SUPERGLUE, "wsc", "span", ("text", "span1_text", "span2_text"), ("False", "True"), ("accuracy",),
        {"train": 554, "validation": 104, "test": 146}, {"train": (295, 259), "validation": (66, 38)},
    ),
    Task(
        "conll2003", "eriktks/conll2003", "conll2003", "token", ("tokens",), NER,
        ("entity_f1", "f1_macro", "f1_micro", "accuracy"),
        {"train": 14041, "validation": 3250, "test": 3453},
        {
            "train": (169578, 6600, 4528, 6321, 3704, 7140, 1157, 3438, 1155),
            "validation": (42759, 1842, 1307, 1341, 751, 1837, 257, 922, 346),
            "test": (38323, 1617, 1156, 1661, 835, 1668, 257, 702, 216),
        },
        label="ner_tags",
    ),
    Task(
        "ptb", "nltk/treebank", None, "token", ("tokens",), TREEBANK, ("accuracy", "f1_macro", "f1_micro"),
        {"train": 3247, "validation": 667},
        {
            "train": (
                15, 537, 574, 3855, 102, 5354, 108, 3213, 471, 1828, 2877, 6753, 72, 4, 8166, 4824, 321,
                151, 13, 786, 10964, 7397, 187, 5004, 25, 697, 1459, 645, 2363, 115, 30, 182, 1, 1789,
                3, 2164, 2353, 1192, 1708, 1157, 1836, 356, 215, 12, 149, 587,
            ),
            "validation": (
                1, 187, 120, 1031, 18, 1238, 18, 661, 92, 437, 669, 1412, 16, 0, 1691, 1010, 60, 31, 0,
                141, 2202, 2013, 57, 1043, 2, 127, 257, 121, 459, 21, 5, 34, 0, 390, 0, 390, 690, 268,
                426, 164, 289, 89, 26, 2, 29, 125,
            ),
        },
        label="tags",
        note="the NLTK sample's 199 documents, split with a fixed seed: 159 train, 40 validation",
    ),
    Task(
        "demo", "peftcli/demo", None, "pair", PAIR, ENTAILMENT, ("accuracy",), demo.SIZES,
        {split: (size // 2, size // 2) for split, size in demo.SIZES.items()},
        note="synthetic, generated by peftcli",
    ),
)  # fmt: skip

# Adding a task is adding a row: everything else reads these two tables.
TASKS: dict[str, Task] = {task.name: task for task in _ROWS}
COLUMNS: dict[str, tuple[Task, str]] = {
    column: (task, split) for task in TASKS.values() for column, split in task.columns.items()
}


def get(name: str) -> Task:
    """Return a task by its name. Raises UserError, with the nearest name, where there is none."""
    if name not in TASKS:
        raise UserError(f"{unknown('task', name, TASKS)}; data of your own is a task in a recipe")
    return TASKS[name]
