"""Comparisons behind claims over seeds and examples together: the numbers of a table's differences, beside the tests."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftcli import records
from peftcli.experiment.recipe import Recipe
from peftcli.records import beside, predictions
from peftcli.report import report as reporting
from peftcli.report import summary
from peftcli.report.claims import with_examples
from peftcli.report.claims.answers import Comparison
from peftcli.report.formats import answers as words
from peftcli.report.table import resampling
from peftcli.report.table.resampling import OverExamples
from tests.report.table.kept import LABELS, ONE, answers, compare, keep, kept_file
from tests.written_records import runs, small, write

BETTER = {"kind": "better", "strategies": "layernorm", "than": "full"}
OF_EVERY_KIND = [
    BETTER | {"by": 1},
    BETTER | {"kind": "within", "points": 3},
    {"kind": "order", "strategies": ["layernorm", "full"]},
    {"kind": "mostly", "strategy": "layernorm", "than": "full"},
    BETTER | {"kind": "how many", "at_least": 1},
    BETTER | {"kind": "welch", "is": "not different", "margin": 2},
]


def recipe_of(*checks: Mapping[str, Any], **changes: Any) -> Recipe:
    claims = [{"claim": f"claim {at}", "checks": [check]} for at, check in enumerate(checks)]
    return small(**({"tasks": ["rte"], "claims": claims} | ONE | changes))


def comparisons(recipe: Recipe, output: Path) -> list[Comparison]:
    """The comparisons of all tested claims, with what they come to over seeds and examples."""
    claims = summary.summarise(recipe, output, False).claims
    claims = with_examples.put(claims, resampling.compare(with_examples.pairs(claims), output))
    return [each for claim in claims if claim.tested for check in claim.tested.checks for each in check.comparisons]


def ends(each: OverExamples | None) -> tuple[float, float]:
    assert each is not None
    assert each.joint is not None
    return each.joint.interval


@pytest.mark.parametrize("check", OF_EVERY_KIND, ids=lambda check: str(check["kind"]))
def test_a_comparison_has_the_interval_of_the_table_s_difference(tmp_path: Path, check: Mapping[str, Any]) -> None:
    recipe = recipe_of(check)
    keep(recipe, tmp_path, LABELS, answers)
    (difference,) = compare(recipe, tmp_path)
    (mine,) = comparisons(recipe, tmp_path)
    assert ends(mine.over_examples) == ends(difference)
    assert mine.over_examples == difference
    assert mine.interval is not None
    # Never narrower than the one over seeds.
    assert ends(mine.over_examples)[0] <= mine.interval[0] < mine.interval[1] <= ends(mine.over_examples)[1]


def test_the_other_way_round_its_ends_are_those_of_the_other_sign(tmp_path: Path) -> None:
    recipe = recipe_of({"kind": "better", "strategies": "full", "than": "layernorm"})
    keep(recipe, tmp_path, LABELS, answers)
    low, high = ends(compare(recipe, tmp_path)[0])
    assert ends(comparisons(recipe, tmp_path)[0].over_examples) == pytest.approx((-high, -low))


def test_of_several_rates_it_is_of_the_two_in_the_lead(tmp_path: Path) -> None:
    recipe = recipe_of(BETTER, learning_rates=[1e-4, 1e-3])

    def by_rate(run: Any, source: np.random.Generator) -> Any:
        right = answers(run, source)
        better = (run.learning_rate == 1e-4) == (run.strategy == "full")  # another rate leads on each side
        return right if better else np.where(np.arange(120) < 20, 1 - LABELS, right)

    keep(recipe, tmp_path, LABELS, by_rate)
    (mine,) = comparisons(recipe, tmp_path)
    assert (mine.one, mine.other) == ("layernorm 1e-3", "full 1e-4")
    # The table's cells are at the rates with the best means, which lead.
    assert ends(mine.over_examples) == ends(compare(recipe, tmp_path)[0])


def test_columns_of_one_test_set_are_compared_and_those_of_others_are_not(tmp_path: Path) -> None:
    sizes = [{"rte": {"label": "all"}}, {"rte": {"label": "100", "training": {"train_size": 100}}}]
    same = recipe_of({"kind": "descends", "on": ["rte:train_size=all", "rte:train_size=100"]}, tasks=sizes)

    def by_size(run: Any, source: np.random.Generator) -> Any:
        right = answers(run, source)
        return right if run.protocol.train_size is None else np.where(source.random(120) < 0.1, 1 - LABELS, right)

    keep(same, tmp_path, LABELS, by_size)
    both = comparisons(same, tmp_path)
    assert len(both) == 2
    for each in both:
        assert each.test == "paired t"
        assert ends(each.over_examples)[0] < (each.estimate or 0.0) < ends(each.over_examples)[1]
    apart = recipe_of({"kind": "descends", "on": ["rte", "mrpc"]}, tasks=["rte", "mrpc"])
    keep(apart, tmp_path / "apart", LABELS, answers, task="rte")
    keep(apart, tmp_path / "apart", 1 - LABELS, answers, task="mrpc")
    reason = "the two were evaluated on different examples"
    assert [each.over_examples for each in comparisons(apart, tmp_path / "apart")] == [OverExamples(None, reason)] * 2


def test_averages_places_and_collapsed_runs_have_none(tmp_path: Path) -> None:
    checks = [BETTER | {"on": "average"}, {"kind": "best", "of": ["layernorm", "full"], "among": ["full"], "on": "rte"}]
    table = {"reference": "full", "average": True}
    recipe = recipe_of(*checks, BETTER, tasks=["rte", "cola"], table=table)
    keep(recipe, tmp_path, LABELS, answers)
    average, place, *columns = comparisons(recipe, tmp_path)
    assert (average.interval is None, place.interval is None) == (False, False)
    assert [each.over_examples for each in (average, place)] == [None, None]
    assert [each.over_examples for each in columns] == compare(recipe, tmp_path)
    collapsed = recipe_of(BETTER)
    keep(collapsed, tmp_path / "one", LABELS, answers)
    run = runs(collapsed, strategy="full", seed=1)[0]
    (evaluation,) = records.read(next(tmp_path.glob(f"one/*/full-{run.id}.json"))).body["evaluations"]
    write(tmp_path / "one", run, {"validation": {"accuracy": evaluation["accuracy"], "collapsed": True}})
    (capped,) = comparisons(collapsed, tmp_path / "one")
    assert capped.interval is not None
    assert "collapsed" in capped.why_not
    assert capped.over_examples is None


def test_a_run_is_resampled_once_for_the_differences_and_all_claims(tmp_path: Path, monkeypatch: Any) -> None:
    recipe = recipe_of(*OF_EVERY_KIND, tasks=["rte", "cola"])
    keep(recipe, tmp_path, LABELS, answers)
    read: list[Path] = []
    whole = predictions.read

    def reading(file: Path, split: str) -> Any:
        read.append(file)
        return whole(file, split)

    monkeypatch.setattr(predictions, "read", reading)
    reporting.report(recipe, tmp_path, "terminal")
    assert (len(read), len(set(read))) == (12, 12)


def test_it_changes_no_answer(tmp_path: Path) -> None:
    recipe = recipe_of(*OF_EVERY_KIND)
    keep(recipe, tmp_path, LABELS, answers)
    claims = summary.summarise(recipe, tmp_path, False).claims
    put = with_examples.put(claims, resampling.compare(with_examples.pairs(claims), tmp_path))
    for before, after in zip(claims, put, strict=True):
        assert before.tested is not None
        assert after.tested is not None
        assert replace(after.tested, checks=()) == replace(before.tested, checks=())
        assert after.verdict == before.verdict


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html", "json"])
def test_every_format_has_it(tmp_path: Path, form: str) -> None:
    recipe = recipe_of(BETTER)
    keep(recipe, tmp_path, LABELS, answers)
    low, high = ends(compare(recipe, tmp_path)[0])
    text = reporting.report(recipe, tmp_path, form)
    if form == "json":
        document = json.loads(text)
        (part,) = document["claims"][0]["tested"]["checks"][0]["parts"]
        (row,) = document["differences"]
        assert part["comparisons"][0]["over_examples"] == row["over_examples"]
        assert row["over_examples"]["high"] == pytest.approx(high)
        assert "leading" not in part["comparisons"][0]
        assert words.WITH_EXAMPLES in document["about_claims"]
        return
    plain = " ".join(re.sub(r"</?\w+[^>]*>|[{}\\]", "", text).replace("&quot;", '"').split())
    assert f"], and examples [{low:.2f}, {high:.2f}], paired t, n = 3 pairs" in plain
    assert "as many other examples together, of the two in the lead" in plain


def test_where_no_predictions_were_kept_nothing_is_said_and_where_some_were_what_lacks(tmp_path: Path) -> None:
    recipe = recipe_of(BETTER)
    keep(recipe, tmp_path, LABELS, answers)
    kept_file(recipe, tmp_path, "full", 1).unlink()
    reason = "no interval over examples: predictions were kept of 2 of 3 runs"
    assert reason in " ".join(reporting.report(recipe, tmp_path, "terminal").split("Claims")[1].split())
    for file in tmp_path.glob(f"*/*{beside.PREDICTIONS}"):
        file.unlink()
    assert "examples" not in reporting.report(recipe, tmp_path, "terminal").split("Claims")[1]
    document = json.loads(reporting.report(recipe, tmp_path, "json"))
    (part,) = document["claims"][0]["tested"]["checks"][0]["parts"]
    assert part["comparisons"][0]["over_examples"] == {"why_not": "no predictions were kept"}


def told(comparison: Comparison, each: OverExamples | None) -> str:
    return words.comparison(replace(comparison, over_examples=each))


def test_a_line_tells_it_between_the_interval_over_seeds_and_the_test(tmp_path: Path) -> None:
    recipe = recipe_of(BETTER)
    keep(recipe, tmp_path, LABELS, answers)
    (mine,) = comparisons(recipe, tmp_path)
    plain = told(mine, None)
    both = told(mine, mine.over_examples)
    low, high = ends(mine.over_examples)
    assert both.replace(f", and examples [{low:.2f}, {high:.2f}]", "") == plain
    assert both.index("and examples") < both.index("paired t")
    assert told(mine, OverExamples(None, resampling.NOT_KEPT)) == plain
    assert "(no interval over examples: " in told(mine, OverExamples(None, resampling.ONE_SIDE))
