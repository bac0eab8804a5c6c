"""The columns of a table of records: one order whatever the records hold, and types that do not depend on them."""

from peftcli.experiment.settings import Training
from peftcli.report.record_columns import columns

FIXED = {"run": "a", "seed": 3, "learning_rate": 1e-3}


def test_every_table_has_the_columns_of_every_setting_and_cost_with_their_types() -> None:
    kinds = {column.name: column.kind for column in columns([FIXED], curves=False)}
    assert {f"protocol.{name}" for name in Training.model_fields} < set(kinds)
    chosen = {
        "protocol.epochs": float,
        "protocol.steps": int,
        "protocol.max_grad_norm": float,
        "protocol.restore_best": bool,
        "protocol.betas": str,
        "protocol.precision": str,
        "protocol.metric": str,
        "seed": int,
        "total": int,
        "trainable_percent": float,
        "cost.tokens": int,
        "environment.compiled": bool,
        "data.differences": str,
        "repeat": int,
    }
    assert {name: kinds[name] for name in chosen} == chosen
    assert "split" not in kinds
    with_curves = [column.name for column in columns([FIXED], curves=True)]
    assert set(with_curves) - set(kinds) == {"split", "counts", "training_loss"}


def test_what_only_some_records_have_stands_in_one_order() -> None:
    rows = [
        {**FIXED, "validation_loss": 1, "option.rank": 4, "data.sizes.train": 5, "validation_collapsed": True},
        {**FIXED, "test_f1": 0, "option.alpha": 1.5, "environment.packages.torch": "2", "option.of": None},
    ]
    forwards, backwards = (list(columns(order, curves=False)) for order in (rows, rows[::-1]))
    names = [column.name for column in forwards]
    assert names == [column.name for column in backwards]
    assert names[:9] == ["run", "status", "error", "model", "task", "strategy", "label", "learning_rate", "seed"]
    assert names[9:14] == ["step", "epoch", "test_f1", "validation_collapsed", "validation_loss"]
    assert names[18:21] == ["option.alpha", "option.of", "option.rank"]
    assert (
        names.index("environment.commit") < names.index("environment.packages.torch") < names.index("data.sizes.train")
    )
    by_name = {column.name: column for column in forwards}
    # A score that happened to be whole is a number, and what is missing is null.
    assert by_name["test_f1"].values == [None, 0.0]
    assert by_name["test_f1"].kind is by_name["option.alpha"].kind is float
    assert by_name["option.rank"].kind is int
    assert by_name["validation_collapsed"].values == [True, None]


def test_an_option_of_several_types_is_text_and_one_without_a_value_too() -> None:
    rows = [{**FIXED, "option.b": value, "option.c": None} for value in (1, "zero")]
    rows += [{**FIXED, "option.d": value} for value in (1, 0.5)]
    by_name = {column.name: column for column in columns(rows, curves=False)}
    assert by_name["option.b"].values == ["1", "zero", None, None]
    assert by_name["option.d"].values == [None, None, 1.0, 0.5]
    assert by_name["option.c"].kind is str
