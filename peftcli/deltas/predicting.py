"""Predictions of a saved delta on new examples: a file with the task's text columns, or a split of the task itself."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from peftcli.data import corpora, loading, notes, overreach, phrasing, rows, tokenizers, tokens
from peftcli.data.examples import Examples
from peftcli.data.rows import Rows
from peftcli.data.tokens import Encoded
from peftcli.deltas import restoring
from peftcli.deltas.file import Delta
from peftcli.engine.device import choose
from peftcli.engine.evaluation import score
from peftcli.errors import UserError, unknown
from peftcli.experiment.run import task_of
from peftcli.models.files import locate
from peftcli.models.reach import reach
from peftcli.tasks import own_files
from peftcli.tasks.registry import Task

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Prediction:
    """One example's prediction: its number, what is predicted, and how likely.

    That is a label, a number, or in token tasks an entry for each of its `words`: a label, None where the model reads
    nothing of the word. `probabilities` are by label; None for numbers and for words.
    """

    index: int
    value: str | float | list[str | None]
    probabilities: dict[str, float] | None
    words: list[str] | None = None


def from_file(delta: Delta, model: str, file: Path, device: str | None = None) -> list[Prediction]:
    """Predict the rows of a file, numbered from 0; `device` is --device. Raises UserError."""
    task = task_of(delta.run)
    texts = unlabelled(task, file.name, own_files.table(task, [file], task.inputs))
    return _predict(delta, model, restoring.restore(delta, model, device=choose(device)), texts, file.name)


def of_split(
    delta: Delta, model: str, split: str, data_dir: Path | None, device: str | None = None
) -> list[Prediction]:
    """Predict a split of the run's own task, numbered as the data set numbers it. Raises UserError."""
    task = task_of(delta.run)
    check_split(task, split)
    source = loading.source(delta.run, data_dir)
    texts = unlabelled(task, split, corpora.read(task, (split,), source, task.inputs)[split])
    return _predict(delta, model, restoring.restore(delta, model, device=choose(device)), texts, f"split {split}")


def unlabelled(task: Task, where: str, table: "pa.Table") -> Rows:
    """Check a table's texts, whatever it holds as labels, and keep its own example numbers. Raises UserError."""
    import pyarrow as pa

    kept = [name for name in table.column_names if name != task.label]
    # The reader wants labels, so every example gets the first one: a word each where the task labels words.
    blank: Any = [0] * len(table)
    if task.kind == "token" and task.text[0] in table.column_names:
        blank = [[0] * len(words or ()) for words in table.column(task.text[0]).to_pylist()]
        blank = pa.array(blank, pa.list_(pa.int64()))
    return rows.check(task, where, table.select(kept).append_column(task.label, pa.array(blank)))


def _predict(delta: Delta, model: str, restored: restoring.Restored, texts: Rows, where: str) -> list[Prediction]:
    task, settings = restored.task, delta.run.protocol
    for note in texts.notes:
        notes.say(note)
    tokenizer = tokenizers.load(locate(model), task.kind)
    restoring.check_tokenizer(delta, model, tokenizers.fingerprint(tokenizer))
    try:
        # What is to be predicted is never left out.
        phrased = replace(phrasing.of(restored.network.config, settings), overlong="truncate")
        encoded = tokens.encode(tokenizer, task.kind, texts, phrased)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    overreach.check(encoded.examples, reach(restored.network.config))
    tokenizers.say_unknown(where, tokenizers.unknown_share(tokenizer, encoded.examples.ids), model)
    _say_unread(encoded, where, settings.max_length)
    examples = encoded.examples
    # One run in the cohort, so one list of examples and one result.
    network, device = restored.network, restored.device
    scored = score(restored.forward(), [examples], task.kind, network.reading, device, network.lookups)[0]
    numbers = examples.numbers.tolist()
    if task.kind == "regression":
        return [Prediction(at, float(value), None) for at, value in zip(numbers, scored.logits, strict=True)]
    if task.kind == "token":
        names = [delta.labels[label] for label in scored.logits.argmax(-1)]
        return _of_words(examples, names, texts.columns[task.text[0]])
    exponents = np.exp(scored.logits - scored.logits.max(-1, keepdims=True))  # less the largest, so that none overflows
    probabilities = exponents / exponents.sum(-1, keepdims=True)
    return [
        Prediction(at, delta.labels[int(row.argmax())], dict(zip(delta.labels, row.tolist(), strict=True)))
        for at, row in zip(numbers, probabilities, strict=True)
    ]


def _say_unread(encoded: Encoded, where: str, max_length: int) -> None:
    """Say on stderr how many words get no prediction, by reason."""
    for count, which in (
        (encoded.cut_words, f"behind max_length {max_length}"),
        (encoded.words_without_pieces, "of which the tokenizer leaves no word piece"),
    ):
        if count:
            words = "word" if count == 1 else "words"
            print(f"{where}: {count} {words} {which} get no prediction", file=sys.stderr)


def _of_words(examples: Examples, names: list[str], sentences: list[list[str]]) -> list[Prediction]:
    """Return an entry a word from the labels of the words that are read, [words] of all examples end to end."""
    assert examples.word_starts is not None
    assert examples.word_numbers is not None
    predictions = []
    for example, (index, words) in enumerate(zip(examples.numbers.tolist(), sentences, strict=True)):
        entries: list[str | None] = [None] * len(words)
        for read in range(examples.word_starts[example], examples.word_starts[example + 1]):
            entries[examples.word_numbers[read]] = names[read]
        predictions.append(Prediction(index, entries, None, words))
    return predictions


def check_split(task: Task, split: str) -> None:
    """Refuse a split that a task does not have. Raises UserError."""
    splits = ("train", *task.evaluation, *tests(task))
    if split not in splits:
        raise unknown(f"split of task {task.name}", split, splits)


def tests(task: Task) -> tuple[str, ...]:
    """The unlabelled test splits of a task, one for each validation split."""
    return tuple(split.replace("validation", "test", 1) for split in task.evaluation)
