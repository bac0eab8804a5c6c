"""The 95 % interval of a mean over seeds, by Student's t."""

from peftcli.report.statistics.contrast import LEAST_SEEDS, LEVEL, Sample
from peftcli.report.statistics.describe import DECIMALS


def student(sample: Sample, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the confidence interval of a mean; None below three seeds, and where nothing varies."""
    # Without variance there is no width to speak of: a count of parameters, or a score that every seed came to.
    if sample.deviation is None or sample.n < LEAST_SEEDS or sample.deviation < 10**-DECIMALS:
        return None
    from scipy import special

    half = float(special.stdtrit(sample.n - 1, (1 + level) / 2)) * sample.error
    return sample.mean - half, sample.mean + half
