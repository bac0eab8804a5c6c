"""The page's claims: two answers each, counted above them, and on demand the numbers behind both."""

from pathlib import Path

from peftcli.experiment import recipe as recipes
from peftcli.report import summary
from peftcli.report.formats.html import claims
from tests.outline import Outline
from tests.report.claims.cases import BETTER
from tests.written_records import fill, small


def test_claims_have_verdicts_and_numbers(page: str) -> None:
    words = Outline(page).words
    report = recipes.load(recipes.find("freezing/table1"))
    for claim in report.claims:
        assert claim["claim"] in words
    assert page.count('class="badge ') == 2 * len(report.claims)
    assert "On the paper's printed numbers: does not hold." in words
    assert "Tested on the printed cells: leans against, p = 1 (Holm 1); to decide: 243 seeds (1 point in 6" in words
    assert "RTE: LayerNorm 5e-4 − Full 3e-5 -0.30 [-3.51, 2.22], Welch's t, n = 10 and 10, p = 0.8" in words


def test_both_answers_are_counted_and_told(tmp_path: Path) -> None:
    recipe = small(
        learning_rates=[1e-3],
        seeds=5,
        claims=[{"claim": "-", "checks": [check]} for check in (BETTER, BETTER | {"by": 9.5})],
    )
    fill(
        recipe,
        tmp_path,
        lambda run: 0.5 + (run.strategy == "layernorm") / 10 + run.seed**2 / (1e3 if run.strategy == "full" else 2e3),
    )
    words = Outline(str(claims.render(summary.summarise(recipe, tmp_path, False).claims))).words
    assert "Of 2 claims, as printed: holds: 2. Tested: supported: 1; leans for: 1." in words
    assert "Verdicts are about seeds on this test set" in words
    assert "all must be shown, uncorrected; against it, Holm" in words
    assert claims.render([]) == ""
