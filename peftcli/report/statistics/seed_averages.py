"""The average over several columns, with the variance it has over seeds: each seed's average first, then over seeds."""

from collections.abc import Sequence

from peftcli.report.statistics import describe
from peftcli.report.statistics.contrast import Sample


def average(samples: Sequence[Sample]) -> Sample:
    """Average samples, one a column, seed by seed. Without a deviation where they are not of the same seeds.

    The deviation is that of the seeds' averages, not the average of the columns' deviations: where seeds are good on one
    column and bad on another, an average varies less than its columns do.
    """
    seeds = samples[0].values.keys() if samples[0].values is not None else ()
    by_seed = [sample.values for sample in samples if sample.values is not None and sample.values.keys() == seeds]
    if not seeds or len(by_seed) < len(samples):
        # Of other seeds, or printed: the average of the means, whose variance nobody knows.
        return Sample(describe.mean(sample.mean for sample in samples) or 0.0, None, 0)
    averages = {seed: describe.mean(values[seed] for values in by_seed) for seed in seeds}
    whole = Sample.of(averages)
    assert whole is not None, "no value is missing in a sample"
    return whole
