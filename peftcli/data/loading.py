"""One run's data: the splits of its task, read, checked, tokenised once, and divided as the run's settings say."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftcli.data import corpora, notes, overreach, phrasing, rows, splits, tokencache, tokenizers, tokens
from peftcli.data.examples import Examples
from peftcli.data.phrasing import Phrasing
from peftcli.data.rows import Rows
from peftcli.data.tokens import Encoded
from peftcli.errors import UserError
from peftcli.experiment import held_out
from peftcli.experiment.run import Run, canonical, task_of
from peftcli.experiment.settings import Training
from peftcli.models import fingerprints
from peftcli.models.files import fetch_config
from peftcli.models.reach import reach
from peftcli.tasks import own_data
from peftcli.tasks.registry import Kind, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Prepared:
    """What one run trains on and is evaluated on.

    Where a share of the training set is held out, that part is the split `validation` (cut to `validation_limit`), and
    the official development sets are `test` (MNLI: `test_matched`, `test_mismatched`).
    """

    task: Task
    train: Examples
    evaluation: dict[str, Examples]  # by split; `train` where the protocol evaluates it
    chooser: str  # the split whose evaluations choose the best one
    label_names: tuple[str, ...]
    fingerprint: str  # of the data as read, before the run's settings reduce it
    tokenizer: str  # the fingerprint of the tokenizer
    sizes: dict[str, int]  # examples a split; a held-out part before its limit
    differences: tuple[str, ...]  # from what the task's row says of its data
    left_out: dict[str, dict[str, int]]  # split -> counts: overlong `examples`, `words` behind the maximum length, …
    unknown: dict[str, float]  # split -> which share of its word pieces the tokenizer does not know, where it is not 0


@dataclass(frozen=True)
class Corpus:
    """A task's labelled splits as read: the rows, their fingerprint, and how they differ from the task's row."""

    rows: dict[str, Rows]
    fingerprint: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class _Tokenised:
    """A task's tokenised splits; the fingerprints of what they come from, and how the data differs from the task's row."""

    fingerprint: str
    tokenizer: str
    differences: tuple[str, ...]
    encoded: dict[str, Encoded]
    unknown: dict[str, float]


def prepare(run: Run, model: str, data_dir: Path | None = None, allow_other_data: bool = False) -> Prepared:
    """Return a run's data. Cheap for further runs of the same task: a process reads and tokenises it once.

    `model` is what the tokenizer is loaded by (id, alias or folder). `data_dir` is a folder laid out like the hub (None:
    that of PEFTCLI_DATA_DIR, else the hub and its caches), or a custom task's file or folder. Data that is not what the
    task's row says is refused, or with `allow_other_data` used and the differences noted. Raises UserError.
    """
    location, settings, task = source(run, data_dir), run.protocol, task_of(run)
    description = None if run.data is None else canonical(run.data).decode()
    whole = _tokenised(task.name, description, location, allow_other_data, model, phrasing.of(_config(model), settings))
    with _naming(f"task {task.name}"):
        train, evaluation, sizes = _divide(task, whole.encoded, settings, run.seed)
    drawn = settings.validation_share or settings.train_size or settings.drop_examples
    for split, examples in {"train": train, **evaluation}.items():
        if not len(examples.labels):  # sentences of a token task may have none: no loss then, and no metric
            seed = f" (as seed {run.seed} divides it)" if drawn else ""
            raise UserError(f"task {task.name}, split {split}{seed}: not one word that is labelled has a word piece")
    return Prepared(
        task=task,
        train=train,
        evaluation=evaluation,
        chooser="validation" if settings.validation_share else task.evaluation[0],
        label_names=task.labels,
        fingerprint=whole.fingerprint,
        tokenizer=whole.tokenizer,
        sizes=sizes,
        differences=whole.differences,
        left_out={split: part.left_out for split, part in whole.encoded.items() if part.left_out},
        unknown=whole.unknown,
    )


def source(run: Run, data_dir: Path | None) -> Path | None:
    """Return where a run's task is read from, None for the hub and its caches. Raises UserError."""
    if run.data is None:
        return corpora.data_folder(data_dir)
    if data_dir is None:  # a run holds no path, so that its id is the same on every machine
        raise UserError(f"task {run.task} is described in a recipe: --data-dir names its file or folder")
    return data_dir


def read(task: Task, location: Path | None, allow_other_data: bool = False) -> Corpus:
    """Read and check a task's labelled splits: `train` and those it is evaluated on.

    Raises UserError where they are missing or unreadable, and where they are not what the task's row says. What is odd
    about the user's own data and stops nothing is printed.
    """
    labelled = ("train", *task.evaluation)
    before = corpora.key(task, labelled, location)
    splits = {split: rows.check(task, split, table) for split, table in corpora.read(task, labelled, location).items()}
    differences = rows.differences(task, splits)
    if differences and not allow_other_data:
        raise UserError(
            f"task {task.name}: this is not its data: {'; '.join(differences)} "
            "(--allow-other-data takes it and records the difference)"
        )
    for note in rows.remarks(task, splits):
        notes.say(note)
    fingerprint = rows.fingerprint(splits)
    # Files that were replaced meanwhile are not those that were read.
    if before == corpora.key(task, labelled, location):
        fingerprints.remember(before, fingerprint)
    return Corpus(splits, fingerprint, differences)


@lru_cache(maxsize=16)  # every run asks, and the packaged model's weights are hashed each time that its config is read
def _config(model: str) -> dict[str, Any]:
    return fetch_config(model)


@lru_cache(maxsize=16)  # more tasks than any shipped recipe has; arguments are hashable, so a description is JSON
def _tokenised(
    name: str,
    description: str | None,
    location: Path | None,
    allow_other_data: bool,
    model: str,
    phrased: Phrasing,
) -> _Tokenised:
    """Return a task's tokenised splits, from the cache of tokenised data where they are; many unknown pieces are said.

    `description` is what a run holds of a custom task. The text itself is not kept: it would fill the memory.
    """
    custom = None if description is None else json.loads(description)
    task = own_data.task(name, custom)
    corpus = read(task, location, allow_other_data)
    if custom is not None and location is not None:
        own_data.check(name, custom, location)
    tokenizer, fingerprint = tokenizers.of_model(model, task.kind)
    file = tokencache.path(name, _dependencies(tokenizer, fingerprint, corpus, task.kind, phrased))
    encoded = tokencache.load(file)
    if encoded is None:
        encoded = _encode(task, tokenizer, corpus, phrased)
        tokencache.save(file, encoded)
    # The same pieces are cached for every model with this tokenizer, and another one may have fewer rows.
    limits = reach(_config(model))
    for split, part in encoded.items():
        with _naming(f"task {task.name}, split {split}"):
            overreach.check(part.examples, limits)
    unknown = {split: tokenizers.unknown_share(tokenizer, part.examples.ids) for split, part in encoded.items()}
    for split, share in unknown.items():
        tokenizers.say_unknown(f"task {name}, split {split}", share, model)
    unknown = {split: share for split, share in unknown.items() if share}
    return _Tokenised(corpus.fingerprint, fingerprint, corpus.differences, encoded, unknown)


def _dependencies(
    tokenizer: "PreTrainedTokenizerFast",
    fingerprint: str,
    corpus: Corpus,
    kind: Kind,
    phrased: Phrasing,
) -> dict[str, Any]:
    """Return everything that tokenised splits depend on. Labels are part of the data's fingerprint, example ids are not."""
    return {
        "tokenizer": fingerprint,
        "library": version("tokenizers"),  # another version may cut the same text otherwise
        # Lengths are checked where texts are tokenised: what was, while the model took more, is not to pass.
        "longest": tokenizer.model_max_length,
        "data": corpus.fingerprint,
        "numbers": {
            split: hashlib.sha256(part.numbers.astype("<i8").tobytes()).hexdigest()[:16]
            for split, part in corpus.rows.items()
        },
        "kind": kind,
        **dataclasses.asdict(phrased),
    }


def _encode(task: Task, tokenizer: "PreTrainedTokenizerFast", corpus: Corpus, phrased: Phrasing) -> dict[str, Encoded]:
    encoded = {}
    for split, part in corpus.rows.items():
        with _naming(f"task {task.name}, split {split}"):
            encoded[split] = tokens.encode(tokenizer, task.kind, part, phrased)
    return encoded


@contextlib.contextmanager
def _naming(where: str) -> Iterator[None]:
    """Say in front of a UserError what it is about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _divide(
    task: Task, encoded: dict[str, Encoded], training: Training, seed: int
) -> tuple[Examples, dict[str, Examples], dict[str, int]]:
    """Return the examples to train on, the evaluated splits (in the order of evaluation), and the sizes of all."""
    whole = encoded["train"].examples
    theirs = held_out.rows(task.name, len(whole)) if training.validation_split == "authors" else None
    chosen, held = splits.divide(len(whole), training, seed, theirs)
    # Runs that train on everything share one object; a copy for each would fill the memory.
    train = whole if len(chosen) == len(whole) else whole.take(chosen)
    official = {split: encoded[split].examples for split in task.evaluation}
    sizes = {"train": len(train)}
    trained_on = {"train": train} if training.evaluate_train else {}
    if not training.validation_share:
        return train, official | trained_on, sizes | {split: len(part) for split, part in official.items()}
    validation = {"validation": whole.take(held[: training.validation_limit])}
    tests = {split.replace("validation", "test", 1): part for split, part in official.items()}
    sizes |= {"validation": len(held)} | {split: len(part) for split, part in tests.items()}
    return train, validation | tests | trained_on, sizes
