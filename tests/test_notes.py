"""The numbers that recipes' notes name are those of the printed cells, of the counts and of the authors' own files."""

import csv
import statistics
from collections import Counter
from functools import cache
from typing import Any

import pytest

from peftcli.experiment import recipe
from peftcli.experiment.parameters import Counts, count
from peftcli.models.catalogue import config
from peftcli.models.tensors import pretrained_parameters
from peftcli.report.table import published
from peftcli.tasks.registry import TASKS

METRICS = {"cola": "matthews", "rte": "accuracy", "sst2": "accuracy", "qnli": "accuracy"}


@cache
def load(name: str) -> recipe.Recipe:
    return recipe.load(recipe.find(name))


def said(name: str, *words: str) -> bool:
    """Whether one of a recipe's notes, or a strategy's, names all of these numbers."""
    made = load(name)
    notes = [*made.notes, *(entry.note or "" for _, entry in made.strategies)]
    return any(all(word in note for word in words) for note in notes)


@cache
def authors_runs() -> list[dict[str, str]]:
    with open(recipe.root() / "freezing/authors_runs.csv", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def runs_of(cell: published.Published) -> list[dict[str, str]]:
    """The author's runs behind a printed cell."""
    size = cell.setting.get("train_size")
    return [
        run
        for run in authors_runs()
        if (run["strategy"], run["task"]) == (cell.strategy, cell.task)
        and float(run["learning_rate"]) == float(cell.setting["lr"])
        and run["train_size"] == ("all" if size is None else str(size))
    ]


def scores(runs: list[dict[str, str]]) -> list[float]:
    return [100 * float(run[f"test_{METRICS[run['task']]}"]) for run in runs]


@pytest.mark.parametrize("name", ["table1", "table2", "table3"])
def test_a_printed_cell_is_over_as_many_runs_as_its_author_s_file_has(name: str) -> None:
    cells = published.read(recipe.root() / f"freezing/{name}.csv")
    counts = {f"{cell.strategy} {cell.setting} {cell.task}": (cell.n, len(runs_of(cell))) for cell in cells}
    assert {cell: both for cell, both in counts.items() if both[0] != both[1]} == {}
    assert Counter(n for n, _ in counts.values())[7] == (name == "table1")


def test_the_cell_of_seven_runs() -> None:
    cells = published.read(recipe.root() / "freezing/table1.csv")
    (cell,) = (cell for cell in cells if cell.n == 7)
    runs = runs_of(cell)
    assert (cell.strategy, cell.task, float(cell.setting["lr"])) == ("bitfit", "sst2", 1e-3)
    assert sorted(Counter(run["seed"] for run in runs).values()) == [1, 1, 1, 2, 2]
    whole, first = scores(runs), scores([run for run in runs if run["repeat"] == "0"])
    assert (round(statistics.mean(whole), 1), round(statistics.stdev(whole), 1)) == (cell.mean, cell.std)
    assert round(statistics.mean(first), 1) != cell.mean
    five = f"{statistics.mean(first):.2f} ± {statistics.stdev(first):.2f}"
    assert said("freezing/table1", f"{len(whole)} runs", f"{len(first)} seeds", five, "1e-3")


def test_which_strategies_shared_seeds() -> None:
    cells = published.read(recipe.root() / "freezing/table1.csv")
    seeds = {(c.strategy, float(c.setting["lr"]), c.task): {run["seed"] for run in runs_of(c)} for c in cells}
    for (strategy, rate, task), of in seeds.items():
        full = seeds["full", 3e-5, task]
        if strategy in ("full", "bitfit", "layernorm") or (strategy, rate, task) == ("random", 5e-4, "rte"):
            assert of == full
        else:
            assert not of & full
    assert said("freezing/table1", "Random at 5e-4 on RTE", "InitBias+BitFit")


def test_freezing_s_misprint_of_a_deviation() -> None:
    cells = published.read(recipe.root() / "freezing/table1.csv")
    earlier = [cell for cell in cells if cell.task == "sst2" and cell.strategy in ("bitfit", "layernorm")]
    best = max(earlier, key=lambda cell: cell.mean or 0)
    assert (best.strategy, float(best.setting["lr"]), best.mean, best.std) == ("layernorm", 5e-4, 90.0, 0.6)
    assert round(statistics.stdev(scores(runs_of(best))), 1) == best.std
    assert said("freezing/table1", f"{best.mean} ± 0.4", f"± {best.std}", "5e-4")


def test_how_many_examples_the_freezing_paper_tested_on() -> None:
    """Accuracies are whole numbers of right answers over as many examples, and of no other number that was named."""

    def fits(task: str, examples: int) -> bool:
        right = [float(run["test_accuracy"]) * examples for run in authors_runs() if run["task"] == task]
        return max(abs(number - round(number)) for number in right) < 1e-5

    official = TASKS["qnli"].sizes["validation"]
    assert fits("qnli", 5260)
    assert not fits("qnli", official)
    assert said("freezing/table1", "5,260", f"{official:,}")
    assert fits("cola", TASKS["cola"].sizes["validation"])
    assert not fits("cola", 527)
    assert said("freezing/table1", f"{TASKS['cola'].sizes['validation']:,}", "527")


def test_how_often_weights_drawn_anew_were_trained() -> None:
    rates = Counter(run["learning_rate"] for run in authors_runs() if run["strategy"] == "reinit_bitfit")
    assert {float(rate) for rate in rates} == set(load("freezing/figure6").learning_rates)
    assert said("freezing/figure6", str(rates.total()), f"from {min(rates.values())} to {max(rates.values())} a rate")


def test_mixout_s_cell_of_the_vector_slides() -> None:
    cells = published.read(recipe.root() / "effectiveness/table2.csv")
    (cell,) = (cell for cell in cells if (cell.strategy, cell.task) == ("mixout", "stsb"))
    assert (cell.mean, cell.std) == (90.11, 0.13)
    assert said("effectiveness/table2", f"{cell.mean} ± {cell.std}")


@pytest.mark.parametrize("name", ["table1", "table2"])
def test_every_printed_cell_of_wsc_is_below_the_majority(name: str) -> None:
    counts = TASKS["wsc"].counts["validation"]
    majority = 100 * max(counts) / sum(counts)
    cells = [c for c in published.read(recipe.root() / f"effectiveness/{name}.csv") if c.task == "wsc"]
    assert len(cells) == 10
    assert all((cell.mean or 0) < majority for cell in cells)
    assert said(f"effectiveness/{name}", f"{majority:.1f} %")


def spafit(numbering: str, groups: list[int]) -> Counts:
    options: dict[str, Any] = {"groups": groups, "variant": "I", "rank": 64, "alpha": 128.0, "dropout": 0.0}
    return count("bert-large-cased", "spafit", {**options, "numbering": numbering}, "pair", 3)


def test_spafit_s_reading_that_the_printed_counts_follow() -> None:
    ours, text_s = (spafit(numbering, [8, 12]) for numbering in ("released", "described"))
    cells = published.read(recipe.root() / "spafit/table2.csv")
    printed = {c.trainable_millions for c in cells if c.setting == {"groups": [8, 12], "variant": "I"}}
    assert printed == {round((ours.trainable + ours.head) / 1e6, 2)}
    assert said("spafit/table2", f"{ours.trainable + ours.head:,}", f"{text_s.trainable + text_s.head:,}")
    assert load("spafit/table2").protocol == "released"
    small = spafit("released", [4, 9])
    percent = 100 * (small.trainable + small.head) / small.total
    assert f"{(small.trainable + small.head) / 1e6:.2f}" == "5.65"
    assert said("spafit/table2", "1.65 %", "5.65 million", f"{percent:.2f} %", f"{small.total:,}")


def test_bitfit_s_printed_shares() -> None:
    for name, percents in (("transferability/table1", True), ("transferability/table2", False)):
        biases = count(load(name).model, "bitfit", {"over": "all"}, "pair", 2)
        assert said(name, f"{biases.trainable_percent:.3f} %", "0.12 %")
        vocabulary = config(load(name).model)["vocab_size"]
        if percents:  # the masked-language-model head has a bias for each word piece
            assert round(100 * (biases.trainable + vocabulary) / biases.total, 2) == 0.12
            assert said(name, f"{vocabulary:,}")
    large = {tensor.name: tensor.size for tensor in pretrained_parameters(config("bert-large-cased"), True)}
    in_layers = sum(size for name, size in large.items() if name.startswith("encoder.") and name.endswith("bias"))
    embeddings = sum(size for name, size in large.items() if name.startswith("embeddings."))
    pooler = sum(size for name, size in large.items() if name.startswith("pooler."))
    whole = in_layers + embeddings + pooler + 3 * 1024 + 3
    assert said("spafit/table2", f"{in_layers:,}", f"{embeddings:,}", f"{pooler:,}", f"{whole / 1e6:.2f} M", "31.52 M")


def test_what_a_sweep_must_keep_for_a_figure_of_weights_is_said() -> None:
    for name in recipe.shipped():
        if any(figure["kind"] == "density" for figure in load(name).figures):
            assert said(name, "--save-delta"), name
    assert said("transferability/table1", "--save-delta")


def test_which_split_of_conll_is_scored() -> None:
    task = TASKS["conll2003"]
    assert task.evaluation == ("validation",)
    assert said("transferability/table2", "validation", f"{task.sizes['validation']:,}")
