"""The Pareto figure of a recipe: its frontier, what it says in words and notes, and what it refuses."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from peftcli.importing.importing import import_runs
from peftcli.report import figures
from peftcli.report.figures import pareto
from peftcli.report.figures.study import Study
from peftcli.report.figures.trade_offs import TradeOff
from peftcli.report.statistics.contrast import Sample
from tests import tables_of_runs, written_records
from tests.drawn import entry
from tests.report.figures import costly


def panels(study: Study, **options: object) -> list[pareto.Panel]:
    spec = entry("pareto", **options)
    return pareto.make_panels(spec, study, pareto.collect(spec, study)[0])


def test_the_frontier_steps_where_seeds_show_a_difference(tmp_path: Path) -> None:
    (panel,) = panels(costly.study(tmp_path))
    assert [each.label for each in panel.points] == list(costly.STRATEGIES)
    assert [step.point.label for step in panel.frontier] == [
        "layernorm",
        "bitfit",
    ]  # full is 0.2 points above, seeds 0.4
    drawing = figures.draw(entry("pareto"), costly.study(tmp_path))
    assert (
        "On the frontier: layernorm, bitfit; by the mean alone also full, not shown to be better than every cheaper point."
        in (drawing.description)
    )
    assert "bitfit 65.0 (64.1 to 65.9) at 30,000 trained parameters" in drawing.description
    assert ElementTree.fromstring(drawing.svg).tag.endswith("svg")


def test_every_cost_has_its_order(tmp_path: Path) -> None:
    def cost(planned: costly.Planned) -> dict[str, object]:
        return {**costly.cost(planned), "seconds": (30.0, 20.0, 10.0)[planned.strategy] + planned.run.seed}

    study = costly.study(tmp_path, cost=cost)
    ((by_seconds,), (by_bytes,)) = panels(study, against="seconds"), panels(study, against="bytes")
    assert [step.point.label for step in by_seconds.frontier] == ["full"]  # the cheapest, and nothing is above it
    assert [step.point.label for step in by_bytes.frontier] == ["layernorm", "bitfit"]


def test_a_panel_a_column_or_one_for_their_average(tmp_path: Path) -> None:
    study = costly.study(tmp_path, tasks=["rte", "cola"])
    both = panels(study)
    assert [(panel.title, panel.axis) for panel in both] == [("rte", "accuracy (%)"), ("cola", "Matthews (× 100)")]
    (average,) = panels(study, average=True)
    assert average.title == "average over 2 columns"
    (one,) = panels(study, average=True, tasks=["rte"])  # of one column the average is that column
    assert (one.title, one.axis) == ("rte", "accuracy (%)")


def test_points_without_three_seeds_are_drawn_but_no_part_of_the_frontier(tmp_path: Path) -> None:
    def score(planned: costly.Planned) -> float | None:
        return None if planned.strategy == 0 and planned.run.seed == 2 else costly.score(planned)

    study = costly.study(tmp_path, score=score)
    (panel,) = panels(study)
    assert len(panel.points) == 3
    assert [step.point.label for step in panel.frontier] == ["bitfit"]
    assert pareto.untested(panel) == ["rte: no part of the frontier, without 3 seeds: layernorm."]
    (of_one,) = panels(costly.study(tmp_path / "one", seeds=1))
    assert of_one.frontier == ()
    assert pareto.untested(of_one) == ["rte: no point has a deviation over 3 seeds, so there is no frontier."]
    assert pareto.legend_of_bars([of_one]) == ""


def test_one_run_a_point_is_over_examples_where_the_recipe_says_how_many(tmp_path: Path) -> None:
    written = {"learning_rates": [1e-3], "strategies": list(costly.STRATEGIES)}
    task = {"name": "elsewhere", "imported": "accuracy"}
    rows = [
        {"strategy": strategy, "seed": 7, "test_accuracy": score, "trainable": trainable, "total": 22_713_216}
        for strategy, score, trainable in zip(costly.STRATEGIES, (0.3, 0.5, 0.51), costly.TRAINABLE, strict=True)
    ]
    file = tables_of_runs.write(tmp_path / "runs.csv", rows)
    frontiers = {}
    for said in (1319, None):
        recipe = written_records.small(tasks=[{**task, "examples": said}], **written)
        with written_records.unsynced():
            import_runs(file, recipe, tmp_path / "out", None, None, {})
        study = figures.study(recipe, tmp_path / "out")
        all_of_them, notes = pareto.collect(entry("pareto"), study)
        (panel,) = pareto.make_panels(entry("pareto"), study, all_of_them)
        frontiers[said] = [step.point.label for step in panel.frontier], notes
    assert frontiers == {
        1319: (
            ["layernorm", "bitfit"],
            [
                "elsewhere: one run a point: intervals and frontier are over the 1,319 examples alone, unpaired and without "
                "the variance of seeds."
            ],
        ),
        None: ([], []),
    }


def test_printed_points_have_their_own_frontier(tmp_path: Path) -> None:
    recipe = recipes.load(recipes.find("effectiveness/table1"))
    printed_alone = figures.study(recipe, tmp_path)
    drawn = panels(printed_alone, published=True, tasks=["cola"])[0]
    assert all(each.is_printed for each in drawn.points)
    assert len(drawn.points) >= 9
    assert drawn.printed_frontier
    assert drawn.frontier == ()
    written_records.from_published(recipe, tmp_path)
    both = panels(figures.study(recipe, tmp_path), published=True, tasks=["cola"])[0]
    assert {each.is_printed for each in both.points} == {True, False}
    assert [s.point.label for s in both.printed_frontier] == [s.point.label for s in drawn.printed_frontier]
    assert not any(step.point.is_printed for step in both.frontier)


def test_printed_cells_have_no_other_cost() -> None:
    with pytest.raises(UserError, match="published: a printed cell has no cost but its parameters"):
        figures.parse({"kind": "pareto", "name": "a", "published": True, "against": "seconds"})
    with pytest.raises(UserError, match="did you mean 'seconds'"):
        figures.parse({"kind": "pareto", "name": "a", "against": "second"})


def test_without_any_record_it_is_drawn_and_says_so(tmp_path: Path) -> None:
    study = costly.study(tmp_path, score=lambda planned: None)
    drawing = figures.draw(entry("pareto"), study)
    assert "rte: no point." in drawing.description
    assert "Left out without a score, 3 of 3: layernorm; bitfit; full." in drawing.description


def test_those_with_equal_numbers_are_each_their_own() -> None:
    twins = [TradeOff(name, "rte", Sample(50.0, 1.0, 3), Sample(10.0, None, 0)) for name in ("a", "b")]
    assert [step.point.label for step in pareto.steps(twins)] == ["a"]  # of equals the first stands for both


def test_it_breaks_off_where_something_is_better_but_nobody_can_say_what() -> None:
    """The noisy one is not shown to differ from any; the last is better than the first, but not than the noisy one."""
    scores = {"first": (60.0, 0.2), "noisy": (64.0, 6.0), "last": (66.0, 0.2), "worst": (50.0, 0.2)}
    drawn = [
        TradeOff(name, "rte", Sample(mean, deviation, 5), Sample(cost, None, 0))
        for (name, (mean, deviation)), cost in zip(scores.items(), (1.0, 10.0, 100.0, 1000.0), strict=True)
    ]
    (step,) = pareto.steps(drawn)
    assert (step.point.label, step.until) == ("first", 100.0)
    panel = pareto.Panel("rte", "accuracy (%)", tuple(drawn), (step,))
    said = pareto.describe(entry("pareto"), panel)[1]
    assert said == (
        "On the frontier: first; by the mean alone also noisy, last, not shown to be better than every cheaper point; "
        "dearer ones are shown to be better than first."
    )
