"""A claim's tested answer in words: the same in every format."""

from collections.abc import Iterator

from peftcli.report.claims.answers import ClaimAnswer, Comparison, Interval
from peftcli.report.claims.verdicts import Judged
from peftcli.report.statistics.combining import Answer

ABOUT = (
    "Verdicts are about seeds on this test set: as printed they compare the numbers of the table; tested, by Student's t at 5 %, "
    "two-sided. Holm: p adjusted for the recipe's claims."
)
# Of comparisons that must all come out as claimed, those that decide come first.
AGAINST: tuple[Answer, ...] = ("contradicted", "leans against", "cannot be judged", "leans for", "supported")
OPEN: tuple[Answer, ...] = ("cannot be judged", "leans against", "contradicted", "leans for", "supported")


def answers(judged: Judged) -> Iterator[tuple[str, ClaimAnswer]]:
    """Yield each tested answer of a claim, with the words for what it is on."""
    for head, tested in (
        ("tested", judged.tested),
        ("tested, any learning rate", judged.by_test_tested),
        ("tested, printed cells", judged.printed_tested),
    ):
        if tested is not None:
            yield head, tested


def answer(tested: ClaimAnswer) -> str:
    """Return the answer with what it lacks, its p-value and how many seeds would decide it."""
    reasons = dict.fromkeys(filter(None, (tested.why_not, tested.caution)))
    reason = f" ({'; '.join(reasons)})" if reasons else ""
    p_value = "" if tested.p_value is None else f", {p(tested.p_value)}"
    holm = "" if tested.holm is None else f" (Holm {tested.holm:.2g})"
    needed = seeds(tested)
    return f"{tested.answer}{reason}{p_value}{holm}" + (f"; {needed}" if needed else "")


def seeds(tested: ClaimAnswer) -> str:
    """Say how many seeds would decide a claim, and what that is planned for; "" where none would, or it is decided."""
    if tested.seeds is None:
        return ""
    number = "> 1,000" if tested.seeds.number is None else f"{tested.seeds.number:,}"
    several = f" in {tested.seeds.comparisons} comparisons at once" if tested.seeds.comparisons > 1 else ""
    hardest = f", hardest {tested.seeds.hardest}" if several else ""
    points = f"{tested.seeds.difference:g} point{'s' * (tested.seeds.difference != 1)}"
    return f"to decide: {number} seeds ({points}{several}, 80 % power{hardest})"


def ordered(tested: ClaimAnswer) -> list[Comparison]:
    """Return the comparisons of all checks, those first that decide the claim."""
    against = tested.answer in ("contradicted", "leans against")
    order = AGAINST if against else OPEN

    def weight(comparison: Comparison) -> tuple[int, float]:
        p_value = 1.0 if comparison.p_value is None else comparison.p_value
        return order.index(comparison.answer), p_value if against else -p_value

    return sorted((each for check in tested.checks for each in check.comparisons), key=weight)


def comparison(each: Comparison) -> str:
    """Return one comparison in a line: the estimate, its interval, the test, n, p and what else to know."""
    words = f"{each.column}: {each.one} − {each.other}"
    if each.estimate is not None:
        words += f" {each.estimate:+.{each.decimals}f}"
    if each.interval:
        words += f" {_interval(each.interval, each.decimals)}"
    if each.near:
        words += f", 90 % {_interval(each.near, each.decimals)}, margin {each.boundary:g}"
    elif each.boundary:
        words += f", boundary {each.boundary:g}"
    if each.interval:
        words += f", {each.test}, n = {each.n}"
    if each.p_value is not None:
        words += f", {p(each.p_value)}"
    reasons = dict.fromkeys(filter(None, (each.why_not, *each.notes)))
    return f"{words}: {each.answer}" + (f" ({'; '.join(reasons)})" if reasons else "")


def p(value: float) -> str:
    """Write a p-value."""
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"


def _interval(bounds: Interval, decimals: int) -> str:
    return f"[{bounds[0]:.{decimals}f}, {bounds[1]:.{decimals}f}]"
