"""Mean and deviation by share, against numpy."""

from pathlib import Path

import numpy as np
import pytest

from peftcli.report.figures import (
    sparsity,
)
from tests import synthetic
from tests.drawn import SHARES, entry, study_of


def test_sparsity_has_means_and_deviations_over_rising_shares(tmp_path: Path) -> None:
    study = study_of(tmp_path, strategies=SHARES, tasks=["cola"], table={"ddof": 0})
    spec = entry("sparsity")
    found = sparsity.collect(spec, study)
    (means, deviations), across = sparsity.panels(spec, found)
    assert across.ticks == ((0.001, "0.1"), (0.01, "1"), (0.1, "10"))
    for place, deviation, share in zip(means.lines[0].marks, deviations.lines[0].marks, (1, 2, 0), strict=True):
        own = [100 * synthetic.level(o.planned) for o in study.outcomes if o.planned.strategy == share]
        best = max(np.split(np.array(own), 2), key=np.mean)
        assert place.y == pytest.approx(best.mean())
        assert deviation.y == pytest.approx(best.std(ddof=0))
