"""`peftcli plan --detect`: what it prints and what it refuses, and how soon."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from peftcli.cli import calibrate, detect
from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from tests import commandline, folders, written_records
from tests.cli.test_calibrate import times
from tests.commandline import Command

TABLE1 = ("plan", "transferability/table1", "--output", "nowhere", "--detect")
TABLE4 = ("plan", "transferability/table4", "--output", "nowhere", "--set", "learning_rates=[1e-3]", "--detect")
SMALL = """
title: Small
model: minilm
tasks: [rte]
strategies: [full, layernorm]
learning_rates: [1e-3]
seeds: 3
table: {reference: full}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


def lines(text: str, beginning: str) -> list[str]:
    """The lines that begin so, with one space between the columns."""
    starting = [line for line in text.splitlines() if line.startswith(beginning)]
    return [beginning + re.sub(" +", " ", line.removeprefix(beginning)) for line in starting]


def test_pairs_and_claims_of_a_table_as_it_was_printed(peftcli: Command) -> None:
    ended = peftcli(*TABLE1, "1")
    assert ended.code == 0
    out = ended.out
    assert "seeds that find a difference of 1 point in 80 % of studies, by a two-sided t test at 0.05" in out
    assert "LayerNorms, Full-FT CoLA 1.8 printed 54 17 to > 1,000 -" in lines(out, "LayerNorms, Full-FT")
    assert "not planned, copied from another paper: BitFit, Full-FT on MNLI_m; " in out
    assert "on QNLI and 1 more" in out
    assert "the recipe's own 3 seeds are enough for 47 of 100 pairs\n" in out
    assert "hours: a dash where no run of a side left its seconds; --calibrate times what is missing" in out
    claim = "    9 comparisons at 97.8 % each; hardest: LayerNorms, Random on CoLA"
    assert lines(out, claim) == [f"{claim} 309 106 to > 1,000 -"]
    assert "\nLayerNorms beat as many random parameters on every task\n" in out
    table = out.partition("seeds that")[2].partition("\nnot planned")[0]
    assert max(map(len, table.splitlines())) < 120


def test_the_same_as_json(peftcli: Command) -> None:
    told = json.loads(peftcli(*TABLE1, "1", "--json").out)["detect"]
    assert (told["difference"], told["unit"], told["power"], told["alpha"], told["most"]) == (
        1.0,
        "points",
        0.8,
        0.05,
        1000,
    )
    (pair,) = (p for p in told["pairs"] if (p["one"], p["other"], p["column"]) == ("LayerNorms", "Full-FT", "CoLA"))
    assert (pair["seeds"], pair["seeds_low"], pair["seeds_high"], pair["hours"]) == (54, 17, None, None)
    assert (pair["from"], pair["planned_seeds"], pair["reason"]) == ("printed", 3, "")
    assert pair["deviations"] == pytest.approx([2.0 * 1.5**0.5, 0.7 * 1.5**0.5])
    assert (len(told["pairs"]), len(told["claims"])) == (104, 7)
    assert told["claims"][3]["hardest"]["seeds"] == 309
    assert told["claims"][3]["power_each"] == pytest.approx(1 - 0.2 / 9)


def test_a_larger_difference_takes_fewer_seeds_and_a_claim_s_own_margin_may_be_asked_for(peftcli: Command) -> None:
    counts = []
    for difference in ("0.5", "1", "3"):
        told = json.loads(peftcli(*TABLE4, difference, "--json").out)["detect"]
        counts.append([pair["seeds"] or 1001 for pair in told["pairs"] if not pair["reason"]])
    assert all(a >= b >= c for a, b, c in zip(*counts, strict=True))
    assert sum(counts[0]) > sum(counts[1]) > sum(counts[2])
    out = peftcli("plan", "transferability/table2", "--output", "nowhere", "--detect", "margin").out
    assert "seeds that find each claim's margin (1 point without one) in 80 %" in out
    assert "LayerNorms, Full-FT (0.2) PTB 0.12 printed 7 4 to 50 -" in lines(out, "LayerNorms, Full-FT (0.2)")


@pytest.mark.parametrize("bad", ["0", "-1", "one", "nan", "inf", "", "1,5", "margins"])
def test_what_is_no_difference_is_refused(bad: str, peftcli: Command) -> None:
    ended = peftcli("plan", "demo", "--detect", bad)
    assert ended.is_one_line
    assert f"--detect {bad!r} is no difference: a number above 0 in the table's unit (1), or margin" in ended.err
    with pytest.raises(UserError):
        detect.difference(bad)


def test_recorded_seeds_are_planned_with_in_pairs_and_with_their_hours(small: Path, peftcli: Command) -> None:
    output = small.parent / "out"
    assert (
        "not planned, fewer than 3 seeds, and nothing printed: layernorm, full on rte"
        in peftcli("plan", small, "--output", output, "--detect", "2").out
    )
    written_records.fill(recipes.load(small), output, lambda run: 0.5 + run.seed / 50 * (run.strategy == "full"))
    out = peftcli("plan", small, "--output", output, "--detect", "2").out
    # Differences of 0, 2 and 4 points: a deviation of 2 with 2 degrees of freedom; 36 s a run, 2 runs a seed.
    assert lines(out, "layernorm, full") == ["layernorm, full rte 2 paired 10 5 to 312 0.20"]
    assert "hours: of so many seeds on both sides, at every learning rate, as recorded or timed\n" in out
    assert "the recipe's own 3 seeds are enough for 0 of 1 pair\n" in out


def test_a_recipe_with_nothing_to_compare_says_so(small: Path, peftcli: Command) -> None:
    ended = peftcli("plan", small, "--set", "table.reference=null", "--detect", "1")
    assert ended.code == 0
    assert "seeds: the recipe's table names no reference and it makes no claims, so nothing is compared" in ended.out


def test_another_model_than_the_paper_s_is_pointed_out(peftcli: Command) -> None:
    out = peftcli(*TABLE4, "1", "--set", "model=minilm").out
    assert "the printed deviations are those of bert-base-uncased, not of the recipe's model" in out
    assert "the printed deviations are those" not in peftcli(*TABLE4, "1").out


def test_a_fraction_s_point_is_a_hundredth(peftcli: Command) -> None:
    out = peftcli("plan", "spafit/table2", "--output", "nowhere", "--detect", "0.01").out
    assert "a difference of 0.01 (of 1: a point is 0.01)" in out
    assert "not planned, a maximum has no deviation: Full BitFit, Full Fine-tuning on CoLA; " in out
    assert "    not planned: 9 of 9 comparisons: a maximum has no deviation" in out


def test_runs_that_left_no_seconds_are_timed(
    tiny_folder: Path, tmp_path: Path, peftcli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peftcli.runner import calibration

    monkeypatch.setattr(calibration, "SECONDS", 0.0)
    changes = {
        "strategies": ["layernorm", "bitfit"],
        "seeds": 4,
        "learning_rates": [1e-3],
        "table": {"reference": "bitfit"},
    }
    file, output = folders.recipe(tmp_path / "tiny.yaml", tiny_folder, **changes), tmp_path / "out"
    for run in written_records.runs(recipes.load(file)):
        if run.seed < 3:  # the fourth is left, and timed
            score = 0.5 + run.seed / 50 * (run.strategy == "bitfit")
            written_records.write(output, run, {"validation": {"accuracy": score}}, cost=None, data=None)
    arguments = ("plan", file, "--output", output, "--detect", "2")
    assert "hours: a dash where" in peftcli(*arguments).out
    timed = json.loads(peftcli(*arguments, "--calibrate", "--json").out)
    (pair,) = timed["detect"]["pairs"]
    assert (pair["seeds"], pair["from"]) == (10, "paired")
    each = sum(kind["seconds"] / kind["runs"] for kind in timed["kinds"])  # a run of either strategy
    assert pair["hours"] == pytest.approx(10 * each / 3600)
    assert all("alike" not in kind for kind in timed["kinds"])


def test_timed_steps_give_the_hours_of_what_is_not_recorded() -> None:
    kinds: list[dict[str, Any]] = [
        {"alike": "a", "cohorts": 3, "runs": 8, "seconds": 80.0},
        {"alike": "a", "cohorts": 1, "runs": 4, "seconds": 60.0},
        {"alike": "b", "cohorts": 1, "runs": 2, "seconds": 5.0},
    ]
    seconds = calibrate.seconds_of_a_run({"kinds": kinds})
    assert seconds == pytest.approx({"a": (3 * 80 + 60) / 28, "b": 2.5})
    assert all("alike" not in kind for kind in kinds)  # which is long, and no reader's
    planned: dict[str, Any] = {"pairs": [], "claims": []}
    assert calibrate.text(times(detect=planned)).splitlines()[-1] == detect.text(planned)[0]


def test_it_starts_without_torch_and_within_two_seconds() -> None:
    for _ in range(3):  # as in test_app.py: the quickest of three counts, and a slow machine is given more
        process = commandline.fresh((*TABLE1, "1"))
        assert process.code == 0
        assert set(process.heavy) <= {"scipy"}
        if process.seconds < 2 * max(1.0, commandline.yardstick() / 0.22):
            return
    assert "coverage" in sys.modules, "slow without coverage, which counts every line that is run"
