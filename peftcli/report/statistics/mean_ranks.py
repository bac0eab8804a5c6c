"""Mean ranks over tasks: Friedman's test that there is any difference, and Nemenyi's critical difference of two (Demšar, 2006).

Tasks are the sample: the question is which strategy would be better on another task like these. What a strategy scores on a
task counts by its rank there alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from peftcli.report.statistics import describe
from peftcli.report.statistics.contrast import ALPHA, LEVEL
from peftcli.report.statistics.describe import DECIMALS

LEAST_TASKS = 5  # below, Friedman's chi-square is far from its distribution
LEAST_STRATEGIES = 3  # of two, ranks are signs


@dataclass(frozen=True)
class MeanRanks:
    """The mean rank of each strategy over `tasks` tasks (1: best), in their order, and what can be told apart.

    `critical` is the difference of two mean ranks that Nemenyi's test needs at 5 %. `p_value` is Friedman's; None where
    no task has two different scores.
    """

    ranks: tuple[float, ...]
    tasks: int
    statistic: float | None
    p_value: float | None
    critical: float

    @property
    def differs(self) -> bool:
        """Whether Friedman's test finds any difference at 5 %."""
        return self.p_value is not None and self.p_value <= ALPHA

    def alike(self) -> list[tuple[int, ...]]:
        """Return the groups not shown to differ, each as strategies from best to worst, none inside another.

        Strategies are of one group where their mean ranks lie within the critical difference; all are, where Friedman's
        test finds no difference at all.
        """
        order = sorted(range(len(self.ranks)), key=self.ranks.__getitem__)
        if not self.differs:
            return [tuple(order)]
        groups: list[tuple[int, ...]] = []
        last = 0
        for at, first in enumerate(order):
            within = [one for one in order[at:] if self.ranks[one] - self.ranks[first] < self.critical]
            # One that ends where the group before it ends lies inside that.
            if len(within) > 1 and at + len(within) > last:
                groups.append(tuple(within))
                last = at + len(within)
        return groups


def mean_ranks(scores: Sequence[Sequence[float]]) -> MeanRanks:
    """Rank the scores [tasks, strategies] of each task, the highest first, equal ones sharing their mean rank.

    Raises ValueError for fewer than five tasks or three strategies.
    """
    tasks, strategies = len(scores), len(scores[0])
    if tasks < LEAST_TASKS or strategies < LEAST_STRATEGIES:
        raise ValueError(f"{tasks} tasks and {strategies} strategies: at least {LEAST_TASKS} and {LEAST_STRATEGIES}")
    from scipy import stats

    # Fractions that are equal may differ in their last bits.
    rounded = [[round(score, DECIMALS) for score in of_task] for of_task in scores]
    by_task = [describe.finite(describe.rank(of_task, ties="average")) for of_task in rounded]
    ranks = tuple(math.fsum(of_strategy) / tasks for of_strategy in zip(*by_task, strict=True))
    quantile = float(stats.studentized_range.ppf(LEVEL, strategies, math.inf))
    critical = quantile / math.sqrt(2) * math.sqrt(strategies * (strategies + 1) / (6 * tasks))
    if all(len(set(of_task)) == 1 for of_task in rounded):
        return MeanRanks(ranks, tasks, None, None, critical)
    test = stats.friedmanchisquare(*zip(*rounded, strict=True))
    return MeanRanks(ranks, tasks, float(test.statistic), float(test.pvalue), critical)
