"""The steps at which a mask changes, against plain loops."""

from peftcli.report import masks


def test_mask_changes_follow_the_strategies_own_steps() -> None:
    opened, chosen = masks.changes({"burn_in": 499, "again": 600}, 1800) or ((), ())
    # diffpruning: gates open again at every multiple of `again`, and close when updates % again == burn_in
    assert opened == tuple(u for u in range(1, 1801) if u % 600 == 0)
    assert chosen == tuple(u for u in range(1, 1801) if u % 600 == 499)
    assert masks.changes({"burn_in": 499, "again": None}, 1800) == ((), (499,))
    assert masks.changes({"every": 5}, 12) == ((), (5, 10))
    assert masks.changes({"share": 0.1}, 12) is None
