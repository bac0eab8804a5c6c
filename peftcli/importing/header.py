"""What the columns of a table of runs mean, by their names. No torch."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from peftcli.errors import UserError, unknown
from peftcli.experiment.recipe import Recipe
from peftcli.experiment.settings import NAMES
from peftcli.records import flat
from peftcli.report.table.selectors import ALIASES
from peftcli.strategies import registry
from peftcli.tasks import metrics
from peftcli.tasks import registry as tasks

# What a row is of, and when it was measured. Of these a file needs the seed; what it leaves out, a recipe may say.
WORDS = (
    "task",
    "strategy",
    "model",
    "learning_rate",
    "seed",
    "repeat",
    "run",
    "status",
    "error",
    "split",
    "step",
    "epoch",
)
# The step of the best evaluation: of equal ones the first, the last.
BEST_STEPS = ("first_best", "last_best")
# Of parameters, as in a record. So `head` is a number, and the setting of that name `protocol.head`.
COUNTS = ("total", "trainable", "head", "trainable_percent")
TRAINING_LOSS = "training_loss"
CHOOSER = "metric"  # in a column's name: the metric that the task's evaluations are chosen by
LEGAL = (*WORDS, *BEST_STEPS, *COUNTS, TRAINING_LOSS)
SPLITS = ("train", "validation", "test")
COLLAPSED = "collapsed"  # whether every example got the same answer
SCORES = ("loss", *metrics.NAMES, COLLAPSED)
# Of options and settings in `peftcli.load_records` and `peftcli records`, whose tables can be read too.
PREFIXES = (OPTION, SETTING) = ("option.", "protocol.")


@dataclass(frozen=True)
class Header:
    """The columns of a file by what they mean.

    `words`: what a column is called here (`strategy`) -> its name in the file. `scores`: column -> its split (None: the
    one that its row names) and its metric (None: the one that the task's evaluations are chosen by). `best`: column ->
    the split whose best evaluation it scores. `settings`: column -> the training setting or option that it holds, one
    behind its prefix where the column says which of the two. `parts`: columns of a record's cost, environment and data.
    """

    words: Mapping[str, str]
    scores: Mapping[str, tuple[str | None, str | None]]
    best: Mapping[str, str]
    settings: Mapping[str, str]
    parts: tuple[str, ...]
    unknown: tuple[str, ...]


def read(columns: Iterable[str], recipe: Recipe, renamed: Mapping[str, str]) -> Header:
    """Read what columns mean; `renamed` says which column of the file a word stands for (`strategy` -> `experiment`).

    Raises UserError for a word that there is not, for a column that the file lacks, and where a word is meant twice.
    """
    names = list(columns)
    called = _called(names, renamed)
    # A strategy of another package has options beyond those that its function names.
    options = {o for name, entry in recipe.strategies for o in (*registry.get(name).option_names, *entry.options)}
    # MNLI has several development sets, which are test sets where a protocol holds examples out of the training set.
    sets = [s for name, _ in recipe.tasks if name in tasks.TASKS for s in tasks.TASKS[name].evaluation]
    splits = dict.fromkeys([*SPLITS, *sets, *(split.replace("validation", "test", 1) for split in sets)])
    words: dict[str, str] = {}
    scores: dict[str, tuple[str | None, str | None]] = {}
    best: dict[str, str] = {}
    settings: dict[str, str] = {}
    parts: list[str] = []
    left: list[str] = []
    for name in names:
        word = called.get(name, name)
        prefix = next((prefix for prefix in PREFIXES if word.startswith(prefix)), "")
        plain = word.removeprefix(prefix)
        setting = ALIASES.get(plain, plain)
        # What a run is of comes first: a strategy's option of the same name is written `option.NAME`.
        if setting in LEGAL and word == plain:
            if setting in words:
                raise UserError(f"columns {words[setting]!r} and {name!r} both say {setting}")
            words[setting] = name
        elif score := _score(word, splits):
            scores[name] = score
        elif word.startswith("best_") and word.removeprefix("best_") in splits:
            best[name] = word.removeprefix("best_")
        elif (setting in NAMES and prefix != OPTION) or (setting in options and prefix != SETTING):
            # An option and a setting of one name (lora's dropout, and the model's) are two things, told apart by prefixes.
            same = (setting, prefix + setting) if prefix else (setting, *(known + setting for known in PREFIXES))
            for other in (column for column, said in settings.items() if said in same):
                raise UserError(f"columns {other!r} and {name!r} both say {setting}")
            settings[name] = prefix + setting
        elif flat.kind(word) is not None:
            parts.append(name)
        else:
            left.append(name)
    return Header(words, scores, best, settings, tuple(parts), tuple(left))


def _called(names: list[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Return what a column of the file is called instead of its name."""
    called = {}
    for word, column in renamed.items():
        if word not in LEGAL:
            raise UserError(f"--column: {unknown('word', word, LEGAL)}")
        if column not in names:
            raise UserError(f"--column {word}={column}: {unknown('column', column, names)}")
        if word in names and column != word:
            raise UserError(f"--column {word}={column}: the file has a column {word!r} already")
        called[column] = word
    return called


def _score(word: str, splits: Iterable[str]) -> tuple[str | None, str | None] | None:
    """Read `test_accuracy`, `validation_metric`, `loss` as a split and a metric; None where it is neither."""
    if word in SCORES:
        return None, word
    for split in splits:
        metric = re.sub(f"^{re.escape(split)}_", "", word)
        if metric != word and metric in (*SCORES, CHOOSER):
            return split, None if metric == CHOOSER else metric
    return None
