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
        "option.alpha": "alpha",
        "protocol.batch_size": "batch_size",
        "protocol.head": "head",
    }
    assert read.unknown == ("test_examples", "best_score", "ranks", "validation_", "id")


@pytest.mark.parametrize(
    ("columns", "renamed", "said"),
    [
        (["lr", "learning_rate"], {}, "columns 'lr' and 'learning_rate' both say learning_rate"),
        (["rank", "option.rank"], {}, "columns 'rank' and 'option.rank' both say rank"),
        (["a"], {"colour": "a"}, "unknown word 'colour'"),
        (["seeds"], {"seed": "seedz"}, "did you mean 'seeds'"),
        (["seed", "run_id"], {"seed": "run_id"}, "has a column 'seed' already"),
    ],
)
def test_what_is_said_twice_or_of_nothing_is_refused(columns: list[str], renamed: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        header.read(columns, small(strategies=["lora"]), renamed)
