"""For how many pieces, positions and types a model has embeddings."""

import pytest

from peftcli.models.reach import Reach, Reading, reach, reading
from tests.models.test_supported import config


@pytest.mark.parametrize(
    ("name", "positions", "types"),
    [
        ("bert", 40, 2),
        ("roberta", 38, 1),  # positions count from behind the padding id, 1
        ("xlm-roberta", 38, 1),
        ("distilbert", 40, None),  # knows no types
        ("albert", 40, 2),
        ("electra", 40, 2),
        ("deberta-v3", None, None),  # relative positions alone
        ("deberta-v2, own keys, convolution", 40, 2),
        ("modernbert", None, None),
    ],
)
def test_reach(name: str, positions: int | None, types: int | None) -> None:
    assert reach(config(name)) == Reach(61, positions, types)


def test_roberta_s_positions_follow_its_padding_id() -> None:
    assert reach(config("roberta", pad_token_id=5)).positions == 34
    assert reading({"model_type": "roberta"}) == Reading(2, types=True)  # a published config may leave it out
    assert reading(config("bert")) == Reading(types=True)
