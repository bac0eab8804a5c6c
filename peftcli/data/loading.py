"""One run's data: its task's splits, read, checked, tokenised once, and cut as the run's settings say."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from peftcli.data import corpora, rows, splits, tokencache, tokens
from peftcli.data.examples import Array, Examples
from peftcli.data.rows import Rows
from peftcli.data.tokens import Encoded, Overlong
from peftcli.errors import UserError
from peftcli.experiment.run import Run, canonical, task_of
from peftcli.experiment.settings import Training
from peftcli.models.files import locate
from peftcli.tasks import own_data
from peftcli.tasks.registry import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Prepared:
    """What one run trains on and is evaluated on.

    `evaluation` is by split, without `train`; a best evaluation is chosen by the split `chooser`. Where a share of the
    training set is held out, that part is `validation` (cut to `validation_limit`), and the official development sets
    are `test` (MNLI: `test_matched`, `test_mismatched`). `fingerprint` is of the data read, before any cut. `sizes` are
    examples a split, a held-out part before its limit. `differences` say where the data is not what the task's row
    says; `left_out` how many overlong `examples`, or `words` behind the maximum length, each split read went without.
    """

    task: Task
    train: Examples
    evaluation: dict[str, Examples]
    chooser: str
    label_names: tuple[str, ...]
    fingerprint: str
    sizes: dict[str, int]
    differences: tuple[str, ...]
    left_out: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Corpus:
    """A task's labelled splits as read: the rows, their fingerprint, and how they differ from the task's row."""

    rows: dict[str, Rows]
    fingerprint: str
    differences: tuple[str, ...]


def prepare(run: Run, model: str, data_dir: Path | None = None, allow_other_data: bool = False) -> Prepared:
    """Give a run's data. Cheap for further runs of the same task: a process reads and tokenises it once.

    `model` is what the tokenizer is loaded by (id, alias or folder), `data_dir` a folder laid out like the hub (None:
    that of PEFTCLI_DATA_DIR, else the hub and its caches), or a described task's own file or folder. Data that is not
    what the task's row says is refused, or with `allow_other_data` taken and the differences noted. Raises UserError.
    """
    folder, settings, task = source(run, data_dir), run.protocol, task_of(run)
    own = None if run.data is None else canonical(run.data).decode()
    fingerprint, differences, encoded = _tokenised(
        task.name, own, folder, allow_other_data, model, settings.max_length, settings.overlong
    )
    train, evaluation, sizes = _cut(task, encoded, settings, run.seed)
    return Prepared(
        task=task,
        train=train,
        evaluation=evaluation,
        chooser="validation" if settings.validation_share else task.evaluation[0],
        label_names=task.labels,
        fingerprint=fingerprint,
        sizes=sizes,
        differences=differences,
        left_out={split: found for split, own in encoded.items() if (found := _left_out(own))},
    )


def source(run: Run, data_dir: Path | None) -> Path | None:
    """Give the folder that a run's task is read from, None for the hub and its caches. Raises UserError."""
    if run.data is None:
        return corpora.data_folder(data_dir)
    if data_dir is None:
        raise UserError(f"task {run.task} is described in a recipe: --data-dir names its file or folder")
    return data_dir


def read(task: Task, folder: Path | None, allow_other_data: bool = False) -> Corpus:
    """Read and check a task's labelled splits: `train` and those it is evaluated on.

    Raises UserError where they cannot be had or read, and where they are not what the task's row says.
    """
    labelled = ("train", *task.evaluation)
    found = {split: rows.check(task, split, table) for split, table in corpora.read(task, labelled, folder).items()}
    differences = rows.differences(task, found)
    if differences and not allow_other_data:
        raise UserError(
            f"task {task.name}: this is not its data: {'; '.join(differences)} "
            "(--allow-other-data takes it and records the difference)"
        )
    return Corpus(found, rows.fingerprint(found), differences)


@lru_cache(maxsize=16)  # as many as a recipe's tasks
def _tokenised(
    name: str,
    own: str | None,
    folder: Path | None,
    allow_other_data: bool,
    model: str,
    max_length: int,
    overlong: Overlong,
) -> tuple[str, tuple[str, ...], dict[str, Encoded]]:
    """Read a task and take its tokenised splits from the cache, or tokenise them and put them there.

    `own` is what a run holds of a described task. Gives the data's fingerprint and differences with them, but not the
    text, which would fill the memory.
    """

    described = None if own is None else json.loads(own)
    task = own_data.task(name, described)
    corpus = read(task, folder, allow_other_data)
    if described is not None and folder is not None:
        own_data.check(name, described, folder)
    tokenizer = tokens.load(locate(model), task.kind)
    depends = {
        "tokenizer": tokens.fingerprint(tokenizer),
        "data": corpus.fingerprint,
        "numbers": {split: _hash(own.numbers) for split, own in corpus.rows.items()},
        "max_length": max_length,
        "overlong": overlong,
        "kind": task.kind,
    }
    file = tokencache.path(name, depends)
    encoded = tokencache.load(file)
    if encoded is None:
        encoded = _encode(task, tokenizer, corpus, max_length, overlong)
        tokencache.save(file, encoded)
    return corpus.fingerprint, corpus.differences, encoded


def _encode(
    task: Task, tokenizer: "PreTrainedTokenizerFast", corpus: Corpus, max_length: int, overlong: Overlong
) -> dict[str, Encoded]:
    encoded = {}
    for split, own in corpus.rows.items():
        try:
            encoded[split] = tokens.encode(tokenizer, task.kind, own, max_length, overlong)
        except UserError as error:
            raise UserError(f"task {task.name}, split {split}: {error}") from None
    return encoded


def _cut(
    task: Task, encoded: dict[str, Encoded], training: Training, seed: int
) -> tuple[Examples, dict[str, Examples], dict[str, int]]:
    """Give the training part, the evaluated splits, and the sizes of all."""
    whole = encoded["train"].examples
    chosen, held_out = splits.divide(len(whole), training, seed)
    train = whole if len(chosen) == len(whole) else whole.take(chosen)
    official = {split: encoded[split].examples for split in task.evaluation}
    sizes = {"train": len(train)}
    if not training.validation_share:
        return train, official, sizes | {split: len(own) for split, own in official.items()}
    validation = {"validation": whole.take(held_out[: training.validation_limit])}
    tests = {split.replace("validation", "test", 1): own for split, own in official.items()}
    sizes |= {"validation": len(held_out)} | {split: len(own) for split, own in tests.items()}
    return train, validation | tests, sizes


def _left_out(encoded: Encoded) -> dict[str, int]:
    counts = {"examples": encoded.dropped, "words": encoded.lost_words}
    return {what: count for what, count in counts.items() if count}


def _hash(numbers: Array) -> str:
    return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()[:16]
