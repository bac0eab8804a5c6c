"""A run's data from end to end: real sizes, refusals, what a run's settings cut, and what a process does once."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from transformers import AutoTokenizer

from peftcli.data import loading, tokencache, tokenizers, tokens
from peftcli.errors import UserError
from peftcli.experiment import held_out
from peftcli.models import catalogue
from peftcli.tasks import demo
from peftcli.tasks import registry as tasks
from tests.material import REAL, bert, describe, needs_data, needs_minilm, run, write_split, write_table

SIZES = {
    "cola": (8551, 1043),
    "sst2": (67349, 872),
    "mrpc": (3668, 408),
    "stsb": (5749, 1500),
    "rte": (2490, 277),
    "wnli": (635, 71),
    "cb": (250, 56),
    "copa": (400, 100),
    "wsc": (554, 104),
    "conll2003": (14041, 3250),
    "ptb": (3247, 667),
}


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PEFTCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("PEFTCLI_DATA_DIR", raising=False)
    loading._tokenised.cache_clear()
    yield
    loading._tokenised.cache_clear()


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(bert(tmp_path / "bert"))


@needs_data
@pytest.mark.parametrize("name", SIZES)
def test_real_data_is_what_its_row_says(name: str) -> None:
    corpus = loading.read(tasks.get(name), REAL)
    assert tuple(map(len, corpus.rows.values())) == SIZES[name]
    assert corpus.differences == ()


@needs_data
@needs_minilm
def test_rte_is_what_the_tokenizer_gives_row_by_row() -> None:
    prepared = loading.prepare(run("rte"), "minilm", REAL)
    assert (prepared.chooser, prepared.label_names) == ("validation", ("entailment", "not_entailment"))
    assert prepared.sizes == {"train": 2490, "validation": 277}
    assert (prepared.differences, prepared.left_out) == ((), {})
    table = pq.read_table(REAL / "glue" / "rte" / "validation-00000-of-00001.parquet").to_pylist()
    tokenizer = AutoTokenizer.from_pretrained(catalogue.minilm_folder())
    alone = [tokenizer(row["sentence1"], row["sentence2"], truncation=True, max_length=128) for row in table]
    examples = prepared.evaluation["validation"]
    assert examples.ids.tolist() == list(itertools.chain(*(row["input_ids"] for row in alone)))
    assert examples.types.tolist() == list(itertools.chain(*(row["token_type_ids"] for row in alone)))
    assert examples.labels.tolist() == [row["label"] for row in table]
    assert examples.numbers.tolist() == [row["idx"] for row in table]


@needs_data
@needs_minilm
def test_held_out_parts_have_the_printed_sizes() -> None:
    settings: dict[str, Any] = {"validation_share": 0.1, "validation_split": "fixed", "validation_limit": 100}
    prepared = loading.prepare(run("rte", **settings), "minilm", REAL)
    assert prepared.sizes == {"train": 2241, "validation": 249, "test": 277}
    assert {split: len(part) for split, part in prepared.evaluation.items()} == {"validation": 100, "test": 277}
    assert prepared.chooser == "validation"
    assert not set(prepared.train.numbers) & set(prepared.evaluation["validation"].numbers)
    other = loading.prepare(run("rte", seed=1, **settings), "minilm", REAL)
    assert other.train.numbers.tolist() == prepared.train.numbers.tolist()
    assert other.fingerprint == prepared.fingerprint


@pytest.mark.parametrize("held_out", [0.0, 0.5])
def test_what_is_trained_on_is_an_evaluated_split_where_that_is_asked_for(
    tmp_path: Path, model: str, held_out: float
) -> None:
    settings = {"validation_share": held_out, "train_size": 40}
    folder = rte(tmp_path)
    prepared = loading.prepare(run("rte", evaluate_train="end", **settings), model, folder)
    assert prepared.evaluation["train"] is prepared.train
    assert len(prepared.train) == (20 if held_out else 40)
    plain = loading.prepare(run("rte", **settings), model, folder)
    assert [*plain.evaluation, "train"] == list(prepared.evaluation)
    assert prepared.sizes == plain.sizes
    assert prepared.chooser == plain.chooser


def rte(folder: Path, train: int = 2490) -> Path:
    for split, (first, second) in {"train": (1249, 1241), "validation": (146, 131)}.items():
        labels = ([0] * first + [1] * second)[: train if split == "train" else None]
        texts = [f"the cat {row}" for row in range(len(labels))]
        write_split(folder / "glue" / "rte", split, {"sentence1": texts, "sentence2": texts[::-1], "label": labels})
    return folder


def test_a_dropped_row_is_refused_or_recorded(tmp_path: Path, model: str) -> None:
    folder = rte(tmp_path, 2489)
    with pytest.raises(UserError) as error:
        loading.prepare(run("rte"), model, folder)
    assert str(error.value) == (
        "task rte: this is not its data: split train: 2489 rows, not 2490; split train: 1249, 1240 of the labels, "
        "not 1249, 1241 (--allow-other-data takes it and records the difference)"
    )
    prepared = loading.prepare(run("rte"), model, folder, allow_other_data=True)
    assert prepared.differences == (
        "split train: 2489 rows, not 2490",
        "split train: 1249, 1240 of the labels, not 1249, 1241",
    )
    assert prepared.sizes == {"train": 2489, "validation": 277}
    whole = loading.prepare(run("rte"), model, rte(tmp_path / "whole"))
    assert whole.differences == ()
    assert whole.fingerprint != prepared.fingerprint


@needs_data
def test_a_real_folder_with_a_row_dropped_is_refused(tmp_path: Path) -> None:
    shutil.copytree(REAL / "glue" / "wnli", tmp_path / "glue" / "wnli", copy_function=shutil.copyfile)
    assert loading.read(tasks.get("wnli"), tmp_path).differences == ()
    (tmp_path / "glue" / "wnli").chmod(0o755)
    table = pq.read_table(REAL / "glue" / "wnli" / "train-00000-of-00001.parquet")
    write_split(tmp_path / "glue" / "wnli", "train", table.slice(1))
    with pytest.raises(UserError, match="split train: 634 rows, not 635"):
        loading.read(tasks.get("wnli"), tmp_path)
    assert len(loading.read(tasks.get("wnli"), tmp_path, allow_other_data=True).differences) == 2


COLUMNS: dict[str, dict[str, list[Any]]] = {
    "qnli": {"question": ["what sat", "a cat"], "sentence": ["the cat sat", "this"], "label": [0, 1], "idx": [0, 1]},
    "qqp": {"question1": ["what", "a cat"], "question2": ["", "this"], "label": [1, 0], "idx": [0, 1]},
    "mnli": {"premise": ["what", "a cat"], "hypothesis": ["the", "this"], "label": [2, 0], "idx": [0, 1]},
}


@pytest.mark.parametrize("name", COLUMNS)
def test_large_tasks_on_small_files_of_the_hubs_layout(tmp_path: Path, model: str, name: str) -> None:
    task = tasks.get(name)
    for split in ("train", *task.evaluation):
        write_split(tmp_path / "glue" / name, split, COLUMNS[name])
    with pytest.raises(UserError, match=f"split train: 2 rows, not {task.sizes['train']}"):
        loading.prepare(run(name), model, tmp_path)
    prepared = loading.prepare(run(name), model, tmp_path, allow_other_data=True)
    assert tuple(prepared.evaluation) == task.evaluation
    assert prepared.chooser == task.evaluation[0]
    first, second, labels, _ = COLUMNS[name].values()
    tokenizer = tokenizers.load(model, "pair")
    alone = tokenizer(first, second)
    assert prepared.train.ids.tolist() == list(itertools.chain(*alone["input_ids"]))
    assert prepared.train.labels.tolist() == labels


def test_both_sets_of_mnli_become_tests(tmp_path: Path, model: str) -> None:
    for split in ("train", "validation_matched", "validation_mismatched"):
        write_split(tmp_path / "glue" / "mnli", split, COLUMNS["mnli"])
    prepared = loading.prepare(run("mnli", validation_share=0.5), model, tmp_path, allow_other_data=True)
    assert list(prepared.evaluation) == ["validation", "test_matched", "test_mismatched"]
    assert prepared.sizes == {"train": 1, "validation": 1, "test_matched": 2, "test_mismatched": 2}


def test_what_is_left_out_is_said(model: str) -> None:
    prepared = loading.prepare(run("demo", max_length=40, overlong="drop"), model)
    left_out = prepared.left_out["train"]["examples"]
    assert prepared.sizes["train"] + left_out == demo.SIZES["train"]
    assert 0 < left_out < 640
    assert prepared.train.lengths.max() <= 40


def test_a_process_reads_and_tokenises_once(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    encode = tokens.encode

    def counted(*arguments: Any) -> tokens.Encoded:
        calls.append("encode")
        return encode(*arguments)

    monkeypatch.setattr(tokens, "encode", counted)
    first = loading.prepare(run("demo"), model)
    assert loading.prepare(run("demo", seed=1), model).train is first.train
    assert len(calls) == 2  # the two splits
    loading._tokenised.cache_clear()  # another process
    again = loading.prepare(run("demo"), model)
    assert len(calls) == 2
    assert again.train is not first.train
    assert again.train.ids.tolist() == first.train.ids.tolist()
    loading.prepare(run("demo", max_length=64), model)
    assert len(calls) == 4


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("demo", {"template": "{first} {second}"}),
        ("demo", {"template": "{second}\n{first}"}),
        ("words", {"read_word": "last"}),
    ],
)
def test_what_is_cached_is_kept_apart_by_how_texts_are_read(
    task: str, settings: dict[str, Any], model: str, tmp_path: Path
) -> None:
    asked, location = run(task, **settings), None
    if task == "words":
        table = [{"a": ["john", "sat"], "y": ["x", "z"]}, {"a": ["cats"], "y": ["z"]}]
        location = write_table(tmp_path / "mine" / "train.parquet", table).parent
        write_table(location / "validation.parquet", table)
        described = describe(tmp_path, text="a", kind="token")
        asked = asked.model_copy(update={"task": "mine", "data": described})
    plain = asked.model_copy(update={"protocol": run("demo").protocol})
    first = loading.prepare(plain, model, location).train
    loading._tokenised.cache_clear()  # as in another process, which finds what this one has cached
    other = loading.prepare(asked, model, location).train
    again = loading.prepare(plain, model, location).train
    assert again.ids.tolist() == first.ids.tolist()
    if task == "words":
        assert (first.words is None, other.words is None, again.words is None) == (False, False, False)
        assert other.words.tolist() != first.words.tolist() == again.words.tolist()  # type: ignore[union-attr]
    else:
        assert other.ids.tolist() != first.ids.tolist()
        assert first.types.any()
        assert not other.types.any()  # one text


def test_a_damaged_cache_is_made_anew(model: str, tmp_path: Path) -> None:
    first = loading.prepare(run("demo"), model)
    (file,) = (tmp_path / "cache" / "tokens").iterdir()
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    assert tokencache.load(file) is None
    loading._tokenised.cache_clear()
    assert loading.prepare(run("demo"), model).train.ids.tolist() == first.train.ids.tolist()
    assert tokencache.load(file) is not None


def test_seeds_and_cuts(model: str) -> None:
    drawn = [loading.prepare(run("demo", seed=seed, train_size=100), model).train.numbers for seed in (0, 1, 0)]
    assert [len(set(numbers)) for numbers in drawn] == [100, 100, 100]
    assert drawn[0].tolist() == drawn[2].tolist() != drawn[1].tolist()
    first = loading.prepare(run("demo", max_train_samples=7), model).train
    assert first.numbers.tolist() == list(range(7))
    assert first.labels.tolist() == [row["label"] for row in demo.rows("train")[:7]]
    with pytest.raises(UserError, match="train_size 641 is more than there are: 640"):
        loading.prepare(run("demo", train_size=641), model)


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("rtee", {}, "unknown task 'rtee': did you mean 'rte'"),
        ("demo", {"max_length": 4, "overlong": "drop"}, "task demo, split train: max_length 4 .* leaves no example"),
    ],
)
def test_bad_runs_get_one_line(model: str, task: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        loading.prepare(run(task, **settings), model)


def test_a_missing_folder_is_named_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data folder .*nowhere' does not exist"):
        loading.prepare(run("demo"), "no-such-model", tmp_path / "nowhere")


@needs_data
@needs_minilm
@pytest.mark.parametrize(("name", "kind"), [("copa", "choice"), ("wsc", "span")])
def test_other_kinds_from_end_to_end(name: str, kind: str) -> None:
    prepared = loading.prepare(run(name), "minilm", REAL)
    examples = prepared.evaluation["validation"]
    assert prepared.task.kind == kind
    assert len(examples) == SIZES[name][1]
    taken = examples.take(np.array([3, 0]))
    assert taken.numbers.tolist() == examples.numbers[[3, 0]].tolist()
    assert len(taken.lengths) == 2 * examples.group


@needs_data
@needs_minilm
@pytest.mark.parametrize("name", [pytest.param("conll2003", marks=pytest.mark.whole), "ptb"])
def test_words_beyond_the_maximum_length_lose_their_labels(name: str) -> None:
    rows = loading.read(tasks.get(name), REAL).rows["validation"]
    tokenizer = AutoTokenizer.from_pretrained(catalogue.minilm_folder())
    vocabulary = sorted({word for words in rows.columns["tokens"] for word in words})
    pieces = dict(zip(vocabulary, tokenizer(vocabulary, add_special_tokens=False)["input_ids"], strict=True))
    positions, kept = [], []
    for words in rows.columns["tokens"]:
        position = 1
        for word in words:
            kept.append(position < 127)  # the separator is piece 127
            positions += [position] if position < 127 else []
            position += len(pieces[word])
    prepared = loading.prepare(run(name), "minilm", REAL)
    examples = prepared.evaluation["validation"]
    assert examples.words is not None
    assert examples.words.tolist() == positions
    assert examples.labels.tolist() == rows.labels[np.array(kept)].tolist()
    assert prepared.left_out["validation"] == {"words": kept.count(False)}
    assert kept.count(False) > 0


def test_many_unknown_pieces_are_said_of_each_split(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = {"train": ["猫 the 猫", "what 犬"], "validation": ["the cat", "what 犬"], "test": ["the cat", "the"]}
    for split, column in texts.items():
        write_split(tmp_path / "glue" / "cola", split, {"sentence": column, "label": [0, 1], "idx": [0, 1]})
    for _ in range(2):  # once a process, whatever how many runs read it
        prepared = loading.prepare(run("cola"), model, tmp_path, allow_other_data=True)
    assert prepared.unknown == {"train": pytest.approx(3 / 5), "validation": pytest.approx(1 / 4)}
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(" of the word pieces")[0] for line in said] == [
        f"note: task cola, split train: the tokenizer of model {model!r} does not know 60.0%",
        f"note: task cola, split validation: the tokenizer of model {model!r} does not know 25.0%",
    ]


def test_a_changed_tokenizer_never_reads_what_another_left(tmp_path: Path) -> None:
    changed = bert(tmp_path / "m")
    before = loading.prepare(run("demo"), str(changed))
    lines = (changed / "vocab.txt").read_text().split("\n")
    (changed / "vocab.txt").write_text("\n".join([*lines[:5], *reversed(lines[5:])]))
    loading._tokenised.cache_clear()
    after = loading.prepare(run("demo"), str(changed))
    assert after.fingerprint == before.fingerprint
    assert after.tokenizer != before.tokenizer
    assert after.train.ids.tolist() != before.train.ids.tolist()


def test_a_limit_set_since_is_held_for_cached_data_too(tmp_path: Path) -> None:
    changed = bert(tmp_path / "m")
    loading.prepare(run("demo"), str(changed))
    (changed / "tokenizer_config.json").write_text('{"model_max_length": 9}')
    loading._tokenised.cache_clear()
    with pytest.raises(UserError, match="and the model takes 9: max_length 9 or less"):
        loading.prepare(run("demo"), str(changed))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_part_that_a_seed_draws_without_a_labelled_word_is_refused(seed: int, tmp_path: Path, model: str) -> None:
    """One sentence of twelve has words: where a seed holds it out, nothing is left to train on, else to evaluate on."""
    table = [{"words": ["the"] if at == 5 else [], "tags": ["O"] if at == 5 else []} for at in range(12)]
    for split in ("train", "validation"):
        write_table(tmp_path / "mine" / f"{split}.jsonl", table)
    entry = {"text": "words", "label_column": "tags", "kind": "token", "labels": ["O", "B-X"]}
    described = describe(tmp_path, **entry)
    whole = run("mine").model_copy(update={"data": described, "seed": seed})
    assert len(loading.prepare(whole, model, tmp_path / "mine").train.labels) == 1
    halves = whole.protocol.model_copy(update={"validation_share": 0.5})
    with pytest.raises(
        UserError, match=rf"task mine, split (train|validation) \(as seed {seed} divides it\): not one word"
    ):
        loading.prepare(whole.model_copy(update={"protocol": halves}), model, tmp_path / "mine")


@needs_data
@pytest.mark.parametrize(("task", "train"), [("mrpc", 3294), ("rte", 2241), ("cb", 225), ("copa", 360), ("wsc", 495)])
def test_a_run_trains_and_validates_on_the_authors_split_exactly(task: str, train: int, model: str) -> None:
    whole = loading.prepare(run(task, max_length=512), model, REAL).train
    rows = np.array(held_out.rows(task))
    parts = []
    for seed in (0, 1):
        split = run(task, seed, max_length=512, validation_share=0.1, validation_split="authors")
        prepared = loading.prepare(split, model, REAL)
        validation = prepared.evaluation["validation"]
        assert prepared.sizes == {"train": train, "validation": len(rows), "test": len(prepared.evaluation["test"])}
        for part, of in ((validation, rows), (prepared.train, np.setdiff1d(np.arange(len(whole)), rows))):
            assert part.numbers.tolist() == whole.numbers[of].tolist()
            assert part.ids.tolist() == whole.take(of).ids.tolist()
            assert part.labels.tolist() == whole.labels[of].tolist()
        parts.append(prepared.train.ids.tolist())
    assert parts[0] == parts[1], "whatever the seed"


@needs_data
def test_the_authors_rows_of_another_training_set_are_refused(model: str) -> None:
    """Rows are known by their place: where an example is left out, those behind it are others."""
    shorter = run("rte", validation_share=0.1, validation_split="authors", max_length=64, overlong="drop")
    with pytest.raises(UserError, match=r"task rte: validation_split authors: the rows are of 2490 training examples"):
        loading.prepare(shorter, model, REAL)
