"""Make `recipes/tested_answers.json`, the papers' claims on their printed cells, as printed and tested: `make docs`.

The tables of those that differ, in the READMEs of three papers, are made from it.
"""

import json
from pathlib import Path
from typing import Any

from peftcli.experiment import recipe as recipes
from peftcli.report import summary
from peftcli.report.claims.answers import ClaimAnswer, Comparison
from peftcli.report.claims.verdicts import Judged
from peftcli.report.formats import answers

RECIPES = Path(__file__).parents[1] / "recipes"
FILE = RECIPES / "tested_answers.json"
TABLED = (
    "transferability",
    "effectiveness",
    "spafit",
)  # the freezing paper's README sets its author's runs beside them
HEAD = "| recipe | claim | as printed | tested | what decides |\n| --- | --- | --- | --- | --- |\n"
AGREE = {"holds": "supported", "does not hold": "contradicted"}
NOWHERE = Path("no-records")  # of our own runs nothing is said


def made() -> str:
    """What the file should hold."""
    shipped = {name: recipes.load(recipes.find(name)) for name in recipes.shipped()}
    judged = {
        name: summary.summarise(recipe, NOWHERE, False).claims for name, recipe in shipped.items() if recipe.claims
    }
    document = {
        name: [_claim(claim, claim.printed_tested) for claim in claims if claim.printed_tested is not None]
        for name, claims in judged.items()
    }
    return (
        json.dumps({name: claims for name, claims in document.items() if claims}, indent=1, ensure_ascii=False) + "\n"
    )


def _claim(judged: Judged, tested: ClaimAnswer) -> dict[str, Any]:
    return {
        "claim": judged.claim,
        "as printed": judged.printed,
        "tested": tested.answer,
        "why not": tested.why_not,
        "caution": tested.caution,
        "p": _rounded(tested.p_value),
        "holm": _rounded(tested.holm),
        "seeds": answers.seeds(tested),
        "comparisons": [_comparison(each) for each in answers.ordered(tested) if each.estimate is not None],
    }


def _comparison(each: Comparison) -> dict[str, Any]:
    return {
        "of": f"{each.column}: {each.one} − {each.other}",
        "estimate": _rounded(each.estimate),
        "interval": None if each.interval is None else [_rounded(end) for end in each.interval],
        "boundary": each.boundary,
        "test": each.test,
        "n": each.n,
        "p": _rounded(each.p_value),
        "answer": each.answer,
        "why not": each.why_not,
    }


def _rounded(value: float | None) -> float | None:
    """Three digits: further ones may differ from one version of SciPy to the next."""
    return None if value is None else float(f"{round(value, 9):.3g}")


def differing(paper: str, made: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The rows of the claims whose tested answer is not what they say as printed, with what keeps them from it."""
    rows = []
    for name, claims in made.items():
        folder, _, recipe = name.partition("/")
        for claim in claims if folder == paper else []:
            if AGREE.get(claim["as printed"]) != claim["tested"]:
                cells = recipe, claim["claim"], claim["as printed"], claim["tested"], _deciding(claim)
                rows.append(f"| {' | '.join(cells)} |\n")
    return rows


def _deciding(claim: dict[str, Any]) -> str:
    """The comparison that decides, with its interval, and how many seeds would; or why there is no test."""
    if claim["tested"] == "cannot be judged":
        return str(claim["why not"])
    first = claim["comparisons"][0]
    low, high = first["interval"]
    boundary = f", boundary {first['boundary']:g}" if first["boundary"] else ""
    return f"{first['of']} {first['estimate']:+g} [{low:g}, {high:g}]{boundary}; {claim['seeds']}"


def readme(paper: str, made: dict[str, list[dict[str, Any]]]) -> str:
    """A paper's README with its table."""
    before, head, rest = (RECIPES / paper / "README.md").read_text(encoding="utf-8").partition(HEAD)
    assert head, f"the README of {paper} has lost its table's head"
    after = [line for line in rest.splitlines(keepends=True) if not line.startswith("|")]
    return before + head + "".join([*differing(paper, made), *after])


if __name__ == "__main__":
    answered = made()
    FILE.write_text(answered, encoding="utf-8")
    print(FILE.relative_to(FILE.parents[1]))
    for paper in TABLED:
        (RECIPES / paper / "README.md").write_text(readme(paper, json.loads(answered)), encoding="utf-8")
        print(f"recipes/{paper}/README.md")
