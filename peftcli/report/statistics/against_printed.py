"""Is our mean another than a printed one? The pooled two-sample t test, from what a paper prints.

Under "our runs are more of the same" both samples have one deviation, which they estimate together: Student's own test.
Two standard errors in its place would call every tenth of equal cells different at three seeds, since t with four
degrees of freedom is beyond 2 that often.
"""

import math

from peftcli.report.statistics.contrast import LEAST_SEEDS, Sample


def p_value(
    ours: Sample,
    mean: float | None,
    deviation: float | None,
    n: int | None,
    ddof: int | None,
    rounding: float = 0.0,
    rounding_of_deviation: float = 0.0,
) -> float | None:
    """Return the two-sided p-value of "our mean is the printed one's"; None where that cannot be tested.

    That is where a side has fewer than three seeds or does not say how many (`n`), where a mean or a deviation is
    missing, and where nothing varies. `ddof` is what the printed deviation was taken with; None, not stated, counts as 0,
    which makes the sample's deviation larger. All in one unit.

    A printed number stands for everything that rounds to it: `rounding` and `rounding_of_deviation` are half a last
    digit, and the p-value is the largest of all that is possible. The degrees of freedom are fixed, so |t| falls as the
    means come nearer and as the printed deviation grows: of the four corners the one with both is the least extreme, or
    a point between them where our mean lies within the rounding of theirs (p = 1).
    """
    if mean is None or deviation is None or n is None or ours.deviation is None or min(n, ours.n) < LEAST_SEEDS:
        return None
    theirs = Sample.printed(mean, deviation + rounding_of_deviation, n, ddof or 0)
    assert theirs.deviation is not None
    freedom = ours.n + n - 2
    pooled = math.sqrt(((ours.n - 1) * ours.deviation**2 + (n - 1) * theirs.deviation**2) / freedom)
    if pooled == 0:
        return None
    nearest = max(0.0, abs(ours.mean - mean) - rounding)
    from scipy import special

    return 2 * float(special.stdtr(freedom, -nearest / (pooled * math.sqrt(1 / ours.n + 1 / n))))
