"""What checks of places in a column list: best, worst, top, times best. By Games–Howell's comparisons of all rows."""

from peftcli.report.claims.comparing import Best, Worst
from peftcli.report.claims.counting import TimesBest, Top
from peftcli.report.claims.evidence import Evidence
from peftcli.report.claims.tested.listing import Family, Listing, Ranked, all_of
from peftcli.report.claims.tested.registry import lists
from peftcli.report.table.selectors import Selector

CORRECTION = "Games–Howell over the rows of a column"


@lists(Best, Worst)
def best_or_worst(check: Best | Worst, evidence: Evidence) -> Listing:
    """List the rows of every column, whose best (or worst) must be one of some."""
    ranked = []
    for key in evidence.columns(check.on):
        among = {id(number): number for number in evidence.contenders(check.among, key)}
        # Each once: a row that is said to be best may not be among those it is compared with.
        rows = {id(number): number for number in evidence.contenders(check.of, key)} | among
        inside = tuple(at for at, row in enumerate(rows) if row in among)
        columns = tuple((number,) for number in rows.values())
        ranked.append(Ranked(evidence.name(key), columns, inside, worst=check.kind == "worst"))
    return all_of(ranked, CORRECTION)


@lists(Top)
def top(check: Top, evidence: Evidence) -> Listing:
    """List the rows of every column, of which a strategy must be among the best few in enough columns."""
    ranked, selector = [], Selector.parse(check.strategy)
    for key in evidence.columns(check.on):
        mine = tuple(evidence.contenders([check.strategy], key))
        others = ((number,) for number in evidence.contenders(None, key) if not selector.fits(number))
        ranked.append(Ranked(evidence.name(key), (mine, *others), (0,), places=check.places))
    words = f"{CORRECTION}; at least {check.at_least} of {len(ranked)} columns (partial conjunction)"
    return Listing((Family(check.at_least, tuple(ranked)),), words)


@lists(TimesBest)
def times_best(check: TimesBest, evidence: Evidence) -> Listing:
    """List the rows of every column, of which each strategy must be best in as many as claimed, and not in one more."""
    families = []
    columns = [(evidence.name(key), evidence.contenders(check.of, key)) for key in evidence.columns(check.on)]
    for name, times in check.times.items():
        selector, ranked = Selector.parse(name), []
        for column, rows in columns:
            inside = tuple(at for at, number in enumerate(rows) if selector.fits(number))
            ranked.append(Ranked(column, tuple((number,) for number in rows), inside))
        families.append(Family(len(ranked), tuple(ranked), exactly=times))
    return Listing(tuple(families), f"{CORRECTION}; so many columns and no more (partial conjunction)")
