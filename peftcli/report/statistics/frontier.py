"""The Pareto frontier of scores against costs, drawn only through what is separable.

By means alone every point that happens to lie a little higher is a step, and of ten equal strategies three lie on the
frontier. Here a step needs a test.
"""

from collections.abc import Callable, Sequence

from peftcli.report.statistics import games_howell
from peftcli.report.statistics.contrast import ALPHA, Sample

Better = Callable[[int, int], bool]  # whether the first point's score is shown to be above the second's


def frontier(costs: Sequence[float], scores: Sequence[float], better: Better) -> list[int]:
    """Return the points on the frontier, cheapest first.

    Walking from the cheapest, which is on it (of equally cheap ones the highest score), each further point is on it only
    if it is better than every point passed before: so of no point on the frontier is there a cheaper one that is better,
    or not shown to be worse. Of points with equal costs the highest is passed first, and hides the others. Costs are
    taken as they are estimated.
    """
    order = sorted(range(len(costs)), key=lambda at: (costs[at], -scores[at]))
    return [at for step, at in enumerate(order) if all(better(at, passed) for passed in order[:step])]


def treads(costs: Sequence[float], on: Sequence[int], better: Better) -> list[float | None]:
    """Return up to which cost each point on the frontier is the best that is shown; None: there is nothing better.

    That is the cost of the cheapest point shown to be better. Where it lies before the frontier's next point, or behind
    its last, something is better there, but not than every cheaper one: which it is nobody can say.
    """
    return [min((cost for at, cost in enumerate(costs) if better(at, step)), default=None) for step in on]


def by_scores_alone(costs: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Return the points on the frontier of the estimates, cheapest first: what a step needs besides a test."""
    return frontier(costs, scores, lambda one, other: scores[one] > scores[other])


def shown_better(samples: Sequence[Sample]) -> Better:
    """Return which of the samples are shown to be above which: by Games–Howell's comparisons of all of them, at 5 %.

    Two-sided, and corrected for every pair: where all means are equal, any step is drawn in at most 5 % of figures. A
    pair without a test (fewer than three seeds, no variance) is not shown to differ.
    """
    p_values = games_howell.pairs(samples)

    def better(one: int, other: int) -> bool:
        p_value = p_values[one][other]
        return p_value is not None and p_value <= ALPHA / 2

    return better
