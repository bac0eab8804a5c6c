"""A slip in a recipe's table, figures or claims is told before anything is trained, and nothing sound is refused."""

from pathlib import Path
from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from peftcli.experiment.recipe import Recipe
from peftcli.report import checking

CLAIM = {
    "claim": "layernorm is better",
    "checks": [{"kind": "better", "strategies": "layernorm", "than": "full"}],
}
MOSTLY = {"kind": "mostly", "strategy": "layernorm", "than": "layernorm", "match": ["layers"]}
TREND = {"kind": "trend", "strategy": "layernorm", "option": "layers", "direction": "rises"}
HEAD = "strategy,setting,task,metric,mean,std,n,ddof,copied_from"


def recipe(folder: Path, **keys: Any) -> Recipe:
    """A recipe of two tasks and two strategies with these keys, as if read from `mine.yaml` in the folder."""
    document = {
        "title": "mine",
        "model": "minilm",
        "tasks": ["rte", "mnli"],
        "strategies": ["layernorm", {"full": {"label": "Full"}}, {"sam": {"share": 0.01}}],
        "learning_rates": [1e-4, 1e-3],
        "seeds": [0, 1],
    }
    return recipes.build(document | keys, folder / "mine.yaml", {})


@pytest.mark.parametrize("name", recipes.shipped())
def test_every_shipped_recipe_passes(name: str) -> None:
    checking.check(recipes.load(recipes.find(name)))


def test_what_can_be_named_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "printed.csv").write_text(f"{HEAD}\nlayernorm,layer=1;lr=1e-3,rte,accuracy,60.1,,3,1,\n")
    claim = CLAIM | {"checks": [*CLAIM["checks"], MOSTLY, TREND, {"kind": "times best", "times": {"full": 2}}]}
    table = {
        "tasks": ["rte", "mnli_matched"],
        "metrics": {"rte": "accuracy"},
        # Of a task that the recipe lacks, as one has it that extends another.
        "labels": {"strategy": "Model", "mnli_matched": "MNLI", "rte.accuracy": "RTE", "cola": "CoLA"},
        "published": "printed.csv",
        "unranked": ["full"],
        "reference": "sam:share=0.01",
        "average": True,
    }
    figures = [
        {"name": "one", "kind": "bars", "strategies": ["Full", "layernorm"], "tasks": ["mnli"], "learning_rate": 1e-3},
        {"name": "two", "kind": "sparsity", "option": "share"},
        {"name": "three", "kind": "density"},
        {"name": "four", "kind": "mask_change", "strategies": ["diffpruning"]},
    ]
    strategies = ["layernorm", {"full": {"label": "Full"}}, {"sam": {"share": 0.01}}, "diffpruning"]
    checking.check(recipe(tmp_path, table=table, figures=figures, claims=[claim], strategies=strategies))


TABLES = [
    ({"decimalz": 1}, "unknown key 'decimalz': did you mean 'decimals'?"),
    ({"rows": ["strategy", "laiers"]}, "unknown rows or columns over 'laiers': did you mean 'layers'?"),
    ({"tasks": ["mnli_matchd"]}, "unknown column 'mnli_matchd': did you mean 'mnli_matched'?"),
    ({"metrics": {"rte": "acuracy"}}, "metrics: rte: unknown metric 'acuracy': did you mean 'accuracy'?"),
    ({"labels": {"mnli_mached": "M"}}, "labels: unknown column, row or value 'mnli_mached'"),
    ({"reference": "ful"}, "reference: unknown strategy 'ful': did you mean 'full'?"),
    ({"unranked": ["sam:share=0.02"]}, "unranked: unknown strategy 'sam:share=0.02'"),
    ({"select": "best learning rate by validation"}, "needs a protocol that holds validation examples out"),
    ({"published": "none.csv"}, "cannot read published table"),
]
FIGURES = [
    ({"kind": "bras"}, "unknown kind 'bras': did you mean 'bars'?"),
    ({"kind": "bars", "collapsd": "keep"}, "figure f: unknown key 'collapsd': did you mean 'collapsed'?"),
    ({"kind": "bars", "strategies": ["fool"]}, "figure f: unknown strategy of this figure 'fool'"),
    ({"kind": "curves", "tasks": ["rtee"]}, "figure f: unknown task of this figure 'rtee'"),
    ({"kind": "low_data", "learning_rate": 3e-3}, "figure f: unknown learning rate of this figure '0.003'"),
    ({"kind": "sparsity", "option": "shares"}, "no strategy of the recipe has the option 'shares' as a number"),
    ({"kind": "sparsity", "option": "over"}, "no strategy of the recipe has the option 'over' as a number"),
    ({"kind": "layers", "baselines": ["fool"]}, "figure f: unknown strategy of this figure 'fool'"),
    ({"kind": "mask_change"}, "no strategy here changes its mask"),
    ({"kind": "density", "strategies": ["ful"]}, "unknown strategy of this figure 'ful': did you mean 'full'?"),
]
CLAIMS = [
    ({"wher": "Table 1"}, "unknown key 'wher': did you mean 'where'?"),
    ({"checks": [{"kind": "beter"}]}, "unknown kind of check 'beter': did you mean 'better'?"),
    ({"checks": [CLAIM["checks"][0] | {"than": "ful"}]}, "unknown strategy of a claim 'ful': did you mean 'full'?"),
    ({"checks": [CLAIM["checks"][0] | {"on": "rtee"}]}, "unknown column of a claim 'rtee': did you mean 'rte'?"),
    ({"checks": [CLAIM["checks"][0] | {"on": "average"}]}, "unknown column of a claim 'average'"),
    ({"checks": [{"kind": "times best", "times": {"ful": 1}}]}, "unknown strategy of a claim 'ful'"),
    ({"checks": [MOSTLY | {"match": ["layer"]}]}, "unknown option of a claim 'layer': did you mean 'layers'?"),
    ({"checks": [TREND | {"option": "lairs"}]}, "unknown option of a claim 'lairs': did you mean 'layers'?"),
    ({"tables": ["other.yaml"]}, "other.yaml"),
]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        *(({"table": table}, said) for table, said in TABLES),
        *(({"figures": [{"name": "f"} | figure]}, said) for figure, said in FIGURES),
        *(({"claims": [CLAIM | claim]}, said) for claim, said in CLAIMS),
    ],
)
def test_a_slip_is_named_with_the_nearest(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as refused:
        checking.check(recipe(tmp_path, **keys))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("strategy,task,mean\nfull,rte,60\n", "has no column metric: it has strategy, task, mean"),
        ("strategy,task,metric,std\nfull,rte,accuracy,1\n", "has no column mean or max"),
        ("strategy,task,metrik,mean\nfull,rte,accuracy,1\n", "unknown column 'metrik': did you mean 'metric'?"),
        (f"{HEAD}\nspafit,4-9,rte,accuracy,60,,,,\n", "line 2: '4-9' is not key=value"),
        (f"{HEAD}\nfull,,rte,accuracy,sixty,,,,\n", "line 2: mean 'sixty' is not a number"),
        (f"{HEAD}\n", "holds no cell"),
    ],
)
def test_a_published_table_has_the_columns_that_cells_are_matched_by(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "printed.csv").write_text(text)
    with pytest.raises(UserError, match=r"published table printed\.csv") as refused:
        checking.check(recipe(tmp_path, table={"published": "printed.csv"}))
    assert said in str(refused.value)


def test_of_a_recipe_that_was_narrowed_the_words_alone_are_checked(tmp_path: Path) -> None:
    narrowed = recipe(tmp_path, claims=[CLAIM], strategies=["layernorm"])
    checking.check(narrowed, names=False)
    with pytest.raises(UserError, match="unknown strategy of a claim 'full'"):
        checking.check(narrowed)
    with pytest.raises(UserError, match="unknown key 'rowz'"):
        checking.check(recipe(tmp_path, table={"rowz": "strategy"}), names=False)


def test_seeds_make_no_difference_to_what_is_looked_at(tmp_path: Path) -> None:
    # Each seed would be one more look at the same names: a thousand of them would be felt.
    short = checking._nothing_run(recipe(tmp_path, seeds=1000))
    assert len(short) == 3 * 2 * 2
    assert {outcome.run.seed for outcome in short} == {0}
    assert {outcome.state for outcome in short} == {"missing"}
