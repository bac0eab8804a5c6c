"""Medians over runs that end at different steps."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from peftcli.report.figures import (
    training_curves,
)
from peftcli.report.figures.training_curves import Curve


def test_medians_stop_where_fewer_than_half_of_the_runs_are_left() -> None:
    values = np.random.default_rng(0).normal(size=(5, 8))
    ends = (8, 8, 6, 4, 3)
    lines = [Curve(s, tuple(range(end)), tuple(values[s, :end])) for s, end in enumerate(ends)]
    steps, found = training_curves.medians(lines)
    assert steps == [0, 1, 2, 3, 4, 5]
    for step, value in zip(steps, found, strict=True):
        assert value == np.median([values[s, int(step)] for s, end in enumerate(ends) if step < end])


def losses(ends: list[int]) -> list[dict[str, float]]:
    """What a run whose loss at update u is u writes down after these updates: means since the last."""
    starts = [0, *ends[:-1]]
    return [
        {"step": end, "epoch": end / 10, "loss": (start + 1 + end) / 2, "learning_rate": 1e-4}
        for start, end in zip(starts, ends, strict=True)
    ]


def outcome() -> Any:
    return SimpleNamespace(state="completed", run=SimpleNamespace(seed=3, options={}))


def test_losses_of_two_grids_that_drift_apart_are_joined_to_equal_stretches() -> None:
    """An earlier version wrote a loss down every 25 updates and at each evaluation, here every 24.9."""
    total = 1992
    grid = sorted({*range(25, total + 1, 25), *(round(24.9 * k) for k in range(1, 81)), total})
    assert min(np.diff(grid)) == 1  # one update beside twenty-four
    curve = training_curves.read(outcome(), losses(grid), "loss", "step")
    assert curve is not None
    lengths = np.diff([0, *curve.steps])
    assert set(lengths[:-1]) <= {24, 25}
    assert 12 <= lengths[-1] <= 37
    for start, end, value in zip([0, *curve.steps], curve.steps, curve.values, strict=False):
        assert value == pytest.approx((start + 1 + end) / 2)


@pytest.mark.parametrize(
    "ends",
    [
        [25, 50, 75, 100],
        [24, 49, 74, 99, 111],  # whole steps of 24.6, and half a stretch at the end
        [1, 2, 3],
        [7],
    ],
)
def test_losses_of_equal_stretches_stay_as_they_are(ends: list[int]) -> None:
    curve = training_curves.read(outcome(), losses(ends), "loss", "step")
    assert curve is not None
    assert curve.steps == tuple(ends)
    assert curve.values == tuple(entry["loss"] for entry in losses(ends))


def test_evaluations_are_never_joined() -> None:
    entries = [{"step": step, "epoch": step / 10, "loss": 1.0, "split": "validation"} for step in (24, 25, 49, 50)]
    curve = training_curves.read(outcome(), entries, "loss", "epoch")
    assert curve is not None
    assert curve.steps == (2.4, 2.5, 4.9, 5.0)
