"""How far the loss goes back at a change of mask: effectiveness' Figure 3 by hand, and curves made for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment import plan
from peftcli.experiment import recipe as recipes
from peftcli.report import checking, summary
from peftcli.report.claims import spec
from peftcli.report.claims.verdicts import Judged
from tests import written_records

# Read off the paper's figure: the last loss up to each change of mask, and the highest before the next; 1.12 at first.
BY_HAND = [
    (600, 0.0801, 0.923), (1200, 0.00146, 0.219), (1800, 0.000301, 0.212), (2400, 0.000226, 0.178),
    (3000, 6.67e-05, 0.496), (3600, 7.11e-05, 0.874), (4200, 1.48e-05, 0.967),
]  # fmt: skip


def judged(output: Path, loss: Callable[[int], float], penalty: bool = True, steps: int = 4800) -> list[Judged]:
    """Judge Figure 3's claims on a record of its run with this loss at each update."""
    recipe = recipes.load(recipes.find("effectiveness/figure3"))
    (planned,) = plan.expand(recipe)
    gates = {"penalty": 0.99} if penalty else {}
    entries = [
        {"step": step, "epoch": step / 15, "loss": loss(step), **gates, "learning_rate": 1e-4}
        for step in range(5, steps + 1, 5)
    ]
    written_records.write(output, planned.run, {"validation": {"accuracy": 0.5}}, training=entries)
    return list(summary.summarise(recipe, output, False).claims)


def test_the_printed_curve_by_hand() -> None:
    back, first = summary.summarise(recipes.load(recipes.find("effectiveness/figure3")), Path("nowhere"), False).claims
    assert (back.printed, first.printed) == ("holds", "does not hold")
    assert (back.verdict, first.verdict) == ("not enough runs", "not enough runs")
    lines = [
        f"CB: DiffPruning: after {at} updates from {before:.3g} to {to:.3g}, at first 1.12"
        for at, before, to in BY_HAND
    ]
    for claim in (back, first):
        assert [step.text for step in claim.printed_findings[0].steps] == lines
    assert [step.holds for step in back.printed_findings[0].steps] == [to >= 10 * before for _, before, to in BY_HAND]
    assert [step.holds for step in first.printed_findings[0].steps] == [to >= 0.9 * 1.12 for _, _, to in BY_HAND]
    assert all(to >= 10 * before for _, before, to in BY_HAND)
    assert not any(to >= 0.9 * 1.12 for _, _, to in BY_HAND)


def test_our_curve_is_judged_at_each_change(tmp_path: Path) -> None:
    def back(step: int) -> float:
        """At 1 after each change, and a thousandth of it from there on."""
        return 1.0 if (step - 1) % 600 < 100 else 0.001

    both = judged(tmp_path / "back", back)
    assert [claim.verdict for claim in both] == ["holds", "holds"]
    assert len(both[0].findings[0].steps) == 7
    once = judged(tmp_path / "once", lambda step: 0.005 if 1800 < step <= 2400 else back(step))  # five times 0.001
    assert [step.holds for step in once[0].findings[0].steps] == [True, True, False, True, True, True, True]
    assert [claim.verdict for claim in once] == ["does not hold", "does not hold"]
    falling = judged(tmp_path / "falling", lambda step: 1 / step)
    assert [claim.verdict for claim in falling] == ["does not hold", "does not hold"]


def test_a_loss_with_the_penalty_in_it_says_nothing_of_the_task_s(tmp_path: Path) -> None:
    back, _ = judged(tmp_path, lambda step: 1.0 if step % 600 < 100 else 0.001, penalty=False)
    assert back.verdict == "cannot be judged"
    assert back.findings[0].steps[0].text == "CB: DiffPruning, seed 0: its loss has the penalty in it: cannot be judged"


def test_a_curve_without_a_change_decides_nothing(tmp_path: Path) -> None:
    back, _ = judged(tmp_path, lambda step: 1.0, steps=600)
    assert back.verdict == "cannot be judged"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"published": "none.csv"}, "cannot read published figure"),
        (
            {"published": "figure4.csv"},
            "its columns are stability_rank, mean, std; this kind of figure reads step, loss",
        ),
    ],
)
def test_a_file_that_is_not_a_curve_is_told_before_anything_is_trained(changes: dict[str, Any], said: str) -> None:
    recipe = recipes.load(recipes.find("effectiveness/figure3"))
    check = {"kind": "goes back", "strategy": "diffpruning", "of_first": 0.5, **changes}
    with pytest.raises(UserError, match=said):
        checking.check(recipe.model_copy(update={"claims": [{"claim": "-", "checks": [check]}]}))


def test_how_far_it_goes_back_must_be_said() -> None:
    check = {"kind": "goes back", "strategy": "diffpruning"}
    with pytest.raises(UserError, match="by_factor or of_first must say how far the loss goes back"):
        spec.parse({"claim": "-", "checks": [check]}, "-")
