"""The page's parts beside table and figures: differences equal scipy's, what is incomplete shows."""

import re
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy import stats

from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.records import beside
from peftcli.report import summary
from peftcli.report.formats import html
from peftcli.report.formats.html import sections
from peftcli.tasks import registry as tasks
from tests.outline import Outline
from tests.written_records import runs, small, unsynced, write

TASKS = ("rte", "cola")  # of the second no predictions are kept
CHANCE = {"full": 0.85, "layernorm": 0.7, "bitfit": 0.6}
SEEDS = 6


def right(strategy: str, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, len(strategy)]).random(90) < CHANCE[strategy]


def filled(folder: Path, kept: bool = True, **table: str) -> Recipe:
    made = small(strategies=list(CHANCE), tasks=list(TASKS), learning_rates=[1e-3], seeds=SEEDS, table=table)
    labels = np.arange(90) % 2
    with unsynced():
        for run in runs(made):
            own = right(run.strategy, run.seed)
            record = write(folder, run, {"validation": {tasks.get(run.task).metrics[0]: float(own.mean())}})
            if kept and run.task == "rte" and (run.strategy, run.seed) != ("bitfit", 2):
                logits = np.eye(2, dtype=np.float16)[np.where(own, labels, 1 - labels)]
                parts = {"logits": logits, "labels": labels, "numbers": np.arange(90)}
                named = {f"validation.{name}": part for name, part in parts.items()}
                save_file(named, beside.predictions(record))
    return made


def page_of(made: Recipe, folder: Path) -> str:
    return html.render(summary.summarise(made, folder, False), [])


def rows(page: str, name: str) -> list[list[str]]:
    """The words of a table's body, row by row."""
    body = page.split(f">{name}</caption>")[1].split("<tbody>")[1].split("</tbody>")[0]
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]
    return [[re.sub(r"<[^>]+>", "", cell) for cell in row] for row in found]


def test_differences_and_their_tests_are_scipy_s(tmp_path: Path) -> None:
    page = page_of(filled(tmp_path, reference="full"), tmp_path)
    expected = []
    for strategy in ("layernorm", "bitfit"):
        ours, theirs = ([100 * right(name, seed).mean() for seed in range(SEEDS)] for name in (strategy, "full"))
        test = stats.ttest_rel(ours, theirs)
        low, high = test.confidence_interval(0.95)
        words = f"{np.mean(ours) - np.mean(theirs):+.1f} ({test.pvalue:.2g})interval [{low:+.1f}, {high:+.1f}]"
        expected.append([strategy, words, words])
    assert rows(page, "Differences from the reference") == expected
    assert "ours minus full" in Outline(page).words
    assert "below it the 95 % interval of the difference" in Outline(page).words
    assert f"paired t over {SEEDS} pairs" in Outline(page).words


def test_answers_are_compared_example_by_example_and_seed_by_seed(tmp_path: Path) -> None:
    page = page_of(filled(tmp_path, reference="full"), tmp_path)
    expected = []
    for strategy in ("layernorm", "bitfit"):
        words = []
        for seed in range(SEEDS):
            ours, theirs = right(strategy, seed), right("full", seed)
            more, less = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
            p_value = stats.binomtest(more, more + less).pvalue
            words.append("" if (strategy, seed) == ("bitfit", 2) else f"{more - less:+d} ({p_value:.2g})")
        expected.append([strategy, "rte", "90", *words])
    assert rows(page, "Answers on the same examples") == expected


def test_a_page_says_where_there_is_nothing_to_compare(tmp_path: Path) -> None:
    page = page_of(filled(tmp_path / "a", kept=False, reference="full"), tmp_path / "a")
    assert "No predictions of the same examples are at hand" in page
    assert "Answers on the same examples" not in page
    assert 'href="#differences"' in page
    alone = page_of(filled(tmp_path / "b"), tmp_path / "b")
    assert 'href="#differences"' not in alone


def test_what_is_incomplete_shows(page: str) -> None:
    words = Outline(page).words
    assert "99 of 104 planned runs completed" in words or re.search(r"\d+ of \d+ planned runs completed", words)
    for state in ("completed", "diverged", "failed", "damaged", "missing"):
        assert re.search(rf"{state} \d+ of \d+", words)
    assert "rte bitfit lr=0.0001 seed=0: diverged: loss or weights not finite at step 500" in words
    assert "RuntimeError: <b>no</b> memory & more" in words  # as text
    assert "<b>no</b>" not in page
    assert "sst2 random" in words
    assert "runs that collapsed to one answer" in words
    assert "Fewer values than runs" in words


def test_a_recipe_without_a_protocol_shows_none(tmp_path: Path) -> None:
    papers, demo = (recipes.load(recipes.find(name)) for name in ("freezing/table1", "demo"))

    def protocol(recipe: Recipe) -> list[str]:
        page = str(sections.recipe(summary.summarise(recipe, tmp_path, against=False)))
        return re.findall(r"<dt>protocol</dt><dd>(\w+)</dd>", page)

    assert protocol(papers) == ["described"]
    assert protocol(papers.model_copy(update={"protocol": "released"})) == ["released"]
    assert protocol(papers.model_copy(update={"protocol": None})) == ["described"]  # the one that a run then has
    assert protocol(demo) == []
