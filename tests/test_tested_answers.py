"""What the papers' claims come to when their printed cells are tested is as it was committed, and as the READMEs say."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from peftcli.experiment import recipe as recipes

ROOT = Path(__file__).parents[1]
ANSWERS: dict[str, list[dict[str, Any]]] = json.loads(
    (ROOT / "recipes/tested_answers.json").read_text(encoding="utf-8")
)
PAPERS = ("transferability", "freezing", "effectiveness", "spafit")
TESTED = runpy.run_path(str(ROOT / "docs/tested.py"))


def test_the_committed_answers_are_those_that_the_program_gives() -> None:
    assert json.loads(TESTED["made"]()) == ANSWERS, "run `make docs`"


def test_every_claim_of_a_paper_is_there() -> None:
    claims = {name: recipes.load(recipes.find(name)).claims for name in recipes.shipped()}
    papers = {
        name: [claim["claim"] for claim in of] for name, of in claims.items() if of and name.partition("/")[0] in PAPERS
    }
    assert {name: [each["claim"] for each in of] for name, of in ANSWERS.items()} == papers


@pytest.mark.parametrize("paper", TESTED["TABLED"])
def test_the_readme_says_which_tested_answers_differ(paper: str) -> None:
    text = (ROOT / "recipes" / paper / "README.md").read_text(encoding="utf-8")
    assert TESTED["readme"](paper, ANSWERS) == text, "run `make docs`"
    claims = sum(len(of) for name, of in ANSWERS.items() if name.startswith(f"{paper}/"))
    assert f"{claims - len(TESTED['differing'](paper, ANSWERS))} of {claims} claims" in text


def test_no_answer_below_three_seeds_has_a_p_value() -> None:
    for of in ANSWERS.values():
        for claim in of:
            for each in claim["comparisons"]:
                assert (each["p"] is None) == (each["interval"] is None), each
