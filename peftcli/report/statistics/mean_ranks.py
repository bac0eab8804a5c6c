"""Mean ranks over tasks: Friedman's test that there is any difference, and Nemenyi's critical difference of two (Demšar, 2006).

Tasks are the sample: the question is which strategy would be better on another task like these. What a strategy scores on a
task counts by its rank there alone.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from peftcli.report.statistics import describe, games_howell
from peftcli.report.statistics.contrast import ALPHA
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
    # Fractions that are equal may differ in their last bits.
    rounded = [[round(score, DECIMALS) for score in of_task] for of_task in scores]
    by_task = [describe.finite(describe.rank(of_task, ties="average")) for of_task in rounded]
    ranks = tuple(math.fsum(of_strategy) / tasks for of_strategy in zip(*by_task, strict=True))
    critical = games_howell.critical(strategies, math.inf, ALPHA) * math.sqrt(
        strategies * (strategies + 1) / (6 * tasks)
    )
    if all(len(set(of_task)) == 1 for of_task in rounded):
        return MeanRanks(ranks, tasks, None, None, critical)
    return MeanRanks(ranks, tasks, *_friedman(by_task), critical)


def _friedman(by_task: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return Friedman's statistic, corrected for ties, of ranks [tasks, strategies], and its p-value by chi-square."""
    # The special functions alone: `scipy.stats` takes most of a second to start.
    from scipy import special

    n, k = len(by_task), len(by_task[0])
    tied = [count for ranks in by_task for count in Counter(ranks).values()]
    correction = 1 - sum(count**3 - count for count in tied) / (k * (k * k - 1) * n)
    squares = sum(sum(of_strategy) ** 2 for of_strategy in zip(*by_task, strict=True))
    statistic = (12 / (k * n * (k + 1)) * squares - 3 * n * (k + 1)) / correction
    return statistic, float(special.chdtrc(k - 1, statistic))
