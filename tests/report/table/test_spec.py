"""Views: the recipe's `table:` is read strictly, and mistakes are told in one line."""

from typing import Any

import pytest

from peftcli.errors import UserError
from peftcli.report.table import spec
from tests.written_records import small


def refuse(table: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        spec.read(small(table=table))
    assert "\n" not in str(caught.value)


def test_a_recipe_without_a_table_shows_strategies_by_tasks() -> None:
    view = spec.read(small())
    assert (view.rows, view.columns, view.cell, view.ddof, view.decimals) == (["strategy"], ["task"], "mean±std", 1, 1)


def test_one_name_stands_for_a_list_and_yes_for_an_average() -> None:
    view = spec.read(
        small(table={"rows": "strategy", "columns": "task", "average": True, "metrics": {"rte": "accuracy"}})
    )
    assert view.rows == ["strategy"]
    assert view.metrics == {"rte": ["accuracy"]}
    assert view.average == spec.Average(label="Avg.", std=False)
    assert spec.read(small(table={"average": "Mean"})).average == spec.Average(label="Mean")
    assert spec.read(small(table={"average": None})).average is None


def test_mistakes_name_the_bad_value_and_the_legal_ones() -> None:
    refuse({"row": "strategy"}, "unknown key 'row': did you mean 'rows'")
    refuse({"cell": "median"}, "unknown value 'median'.*known: mean±std, maximum")
    refuse({"rows": ["strategy", "layer"]}, "unknown rows or columns over 'layer': did you mean 'layers'")
    refuse({"ddof": 2}, "ddof")
    refuse({"rows": "task", "columns": "task"}, "twice")
    refuse({"rows": "task", "columns": "layers"}, "must run over strategy")
    refuse({"select": "every learning rate"}, "learning_rate in rows")
    refuse({"rows": ["strategy", "learning_rate"]}, "learning_rate in rows")
    refuse({"cell": "maximum"}, "every run")
    refuse({"rows": "task", "columns": "strategy", "average": True}, "average")
