"""What columns mean is read off their names; the same thing said twice is refused."""

import pytest

from peftcli.errors import UserError
from peftcli.importing import header
from tests.written_records import small


def test_every_column_is_a_word_a_score_a_setting_or_nothing() -> None:
    recipe = small(tasks=["mnli"], strategies=["lora"])
    columns = [
        *("task", "lr", "seed", "last_best", "training_loss"),
        *(
            "test_accuracy",
            "test_mismatched_f1_macro",
            "validation_matched_loss",
            "validation_metric",
            "accuracy",
            "best_test",
        ),
        *("train_size", "rank", "option.alpha", "protocol.batch_size", "head", "protocol.head"),
        *("test_examples", "best_score", "ranks", "validation_", "id"),
    ]
    read = header.read(columns, recipe, {})
    assert read.words == {
        "task": "task",
        "learning_rate": "lr",
        "seed": "seed",
        "last_best": "last_best",
        "training_loss": "training_loss",
        "head": "head",
    }
    assert read.scores == {
        "test_accuracy": ("test", "accuracy"),
        "test_mismatched_f1_macro": ("test_mismatched", "f1_macro"),
        "validation_matched_loss": ("validation_matched", "loss"),
        "validation_metric": ("validation", None),
        "accuracy": (None, "accuracy"),
    }
    assert read.best == {"best_test": "test"}
    assert read.settings == {
        "train_size": "train_size",
        "rank": "rank",
        "option.alpha": "option.alpha",
        "protocol.batch_size": "protocol.batch_size",
        "protocol.head": "protocol.head",
    }
    assert read.unknown == ("test_examples", "best_score", "ranks", "validation_", "id")


@pytest.mark.parametrize(
    ("columns", "renamed", "said"),
    [
        (["lr", "learning_rate"], {}, "columns 'lr' and 'learning_rate' both say learning_rate"),
        (["option.rank", "rank"], {}, "columns 'option.rank' and 'rank' both say rank"),
        (["epochs", "protocol.epochs"], {}, "columns 'epochs' and 'protocol.epochs' both say epochs"),
        (["rank", "option.rank"], {}, "columns 'rank' and 'option.rank' both say rank"),
        (["a"], {"colour": "a"}, "unknown word 'colour'"),
        (["seeds"], {"seed": "seedz"}, "did you mean 'seeds'"),
        (["seed", "run_id"], {"seed": "run_id"}, "has a column 'seed' already"),
    ],
)
def test_what_is_said_twice_or_of_nothing_is_refused(columns: list[str], renamed: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        header.read(columns, small(strategies=["lora"]), renamed)


def test_an_option_and_a_setting_of_one_name_and_a_record_s_parts_are_columns() -> None:
    columns = ["option.dropout", "protocol.dropout", "protocol.rank", "cost.seconds", "cost.second", "data.sizes.train"]
    read = header.read([*columns, "status", "error", "validation_collapsed"], small(strategies=["lora"]), {})
    assert read.settings == {"option.dropout": "option.dropout", "protocol.dropout": "protocol.dropout"}
    assert read.parts == ("cost.seconds", "data.sizes.train")
    assert read.unknown == ("protocol.rank", "cost.second")
    assert set(read.words) == {"status", "error"}
    assert read.scores == {"validation_collapsed": ("validation", "collapsed")}


def test_options_that_a_recipe_names_beyond_those_of_a_strategy_s_function_are_columns() -> None:
    recipe = small(strategies=["peft:type=LORA,r=4", "peft:type=IA3"])
    assert header.read(["option.type", "option.r", "option.s"], recipe, {}).unknown == ("option.s",)
