"""Make `recipes/tested_answers.json`, the papers' claims on their printed cells, as printed and tested: `make docs`."""

import json
from pathlib import Path
from typing import Any

from peftcli.experiment import recipe as recipes
from peftcli.report import summary
from peftcli.report.claims.answers import ClaimAnswer, Comparison
from peftcli.report.claims.verdicts import Judged
from peftcli.report.formats import answers

FILE = Path(__file__).parents[1] / "recipes/tested_answers.json"
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


if __name__ == "__main__":
    FILE.write_text(made(), encoding="utf-8")
    print(FILE.relative_to(FILE.parents[1]))
