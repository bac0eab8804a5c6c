"""The entries of `figures:`: mistakes are told in one line, and a kind of figure is added by one registration."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

import pytest
from pydantic import Field

from peftcli.errors import UserError
from peftcli.experiment import recipe as recipes
from peftcli.report import figures
from peftcli.report.figures import spec, style
from tests.drawn import study_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def test_entries_of_every_recipe_are_known() -> None:
    count = 0
    for name in recipes.shipped():
        if not name.endswith("sensitivity"):
            count += len(figures.parse_all(recipes.load(recipes.find(name)).figures))
    assert count >= 13  # the papers' figures with numbers in them


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "bar", "name": "a"}, "unknown kind 'bar': did you mean 'bars'?"),
        ({"name": "a"}, "unknown kind 'None'"),
        ({"kind": "bars", "name": "a", "strat": 1}, "unknown key 'strat': did you mean 'start'?"),
        ({"kind": "bars", "name": "../a"}, "figure ../a: name: '../a'"),
        ({"kind": "bars"}, "key 'name' is missing"),
        ({"kind": "curves", "name": "a", "show": "los"}, "did you mean 'loss'?"),
    ],
)
def test_bad_entries_are_one_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        figures.parse(entry)
    assert message in str(caught.value)


def test_two_figures_of_one_name_are_refused() -> None:
    with pytest.raises(UserError, match="two are named 'a'"):
        figures.parse_all([{"kind": "bars", "name": "a"}, {"kind": "layers", "name": "a"}])


def test_every_option_of_every_kind_is_described() -> None:
    words = ["bars", "curves", "low_data", "mask_change", "ranks", "sparsity", "layers", "density", "pareto"]
    words += ["critical_difference"]
    assert list(spec.KINDS) == words  # the order in which messages list them
    for word, kind in spec.KINDS.items():
        for name, field in kind.options.model_fields.items():
            assert field.description, (word, name)
            assert field.description.endswith("."), (word, name)


@pytest.fixture
def dot() -> Iterator[None]:
    """A made-up kind of figure, there for one test."""

    class Dot(spec.FigureSpec):
        kind: Literal["dot"] = Field(description="One dot.")
        size: int = Field(3, description="How large it is.")

    @spec.draws(Dot, "one dot")
    def draw(options: Dot, study: figures.Study) -> "tuple[Figure, str]":
        figure, axes = style.grid(1, 1, 2, 2)
        axes[0][0].plot(0, 0, "o", markersize=options.size)
        return figure, f"A dot of {options.size} for {len(study.outcomes)} runs."

    yield
    del spec.KINDS["dot"]


@pytest.mark.usefixtures("dot")
def test_a_kind_is_added_by_one_registration(tmp_path: Path) -> None:
    study = study_of(tmp_path, lambda planned: "missing", figures=[{"kind": "dot", "name": "figure3", "size": 7}])
    (drawing,) = figures.draw_all(study)
    assert (drawing.title, drawing.description) == ("Figure 3: one dot", f"A dot of 7 for {len(study.outcomes)} runs.")
    assert ElementTree.fromstring(drawing.svg).tag.endswith("svg")
    with pytest.raises(UserError, match="unknown key 'sise': did you mean 'size'"):
        figures.parse({"kind": "dot", "name": "a", "sise": 7})


def test_a_kind_that_is_gone_is_unknown_again() -> None:
    with pytest.raises(UserError, match="unknown kind 'dot'"):
        figures.parse({"kind": "dot", "name": "a"})
