"""Medians over runs that end at different steps."""

import numpy as np

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
