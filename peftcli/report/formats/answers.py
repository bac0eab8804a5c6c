"""A claim's tested answer in words: the same in every format."""

from collections.abc import Iterator, Sequence

from peftcli.report.claims.answers import ClaimAnswer, Comparison, Interval
from peftcli.report.claims.verdicts import Judged
from peftcli.report.statistics.combining import Answer
from peftcli.report.table.resampling import NOT_KEPT

ABOUT = (
    "Verdicts are about seeds on this test set: as printed they compare the numbers of the table; tested, by Student's t at 5 %, "
    "two-sided. Holm: p adjusted for the recipe's claims."
)
WITH_EXAMPLES = (
    '"and examples": the 95 % interval over seeds and as many other examples together, of the two in the lead, not widened for '
    "several learning rates; no verdict rests on it."
)
# Of comparisons that must all come out as claimed, those that decide come first.
AGAINST: tuple[Answer, ...] = ("contradicted", "leans against", "cannot be judged", "leans for", "supported")
OPEN: tuple[Answer, ...] = ("cannot be judged", "leans against", "contradicted", "leans for", "supported")


def about(claims: Sequence[Judged]) -> str:
    """Say what verdicts are about, and what the second interval is where a comparison has one."""
    compared = (
        each
        for claim in claims
        for _, tested in answers(claim)
        for check in tested.checks
        for each in check.comparisons
    )
    some = any(each.over_examples and each.over_examples.joint for each in compared)
    return f"{ABOUT} {WITH_EXAMPLES}" if some else ABOUT


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
    together = each.over_examples
    if together and together.joint:
        words += f", and examples {_interval(together.joint.interval, each.decimals)}"
    if each.near:
        words += f", 90 % {_interval(each.near, each.decimals)}, margin {each.boundary:g}"
    elif each.boundary:
        words += f", boundary {each.boundary:g}"
    if each.interval:
        words += f", {each.test}, n = {each.n}"
    if each.p_value is not None:
        words += f", {p(each.p_value)}"
    # Of a run without predictions nothing is said: most sweeps keep none.
    none = (
        f"no interval over examples: {together.why_not}" if together and together.why_not not in ("", NOT_KEPT) else ""
    )
    reasons = dict.fromkeys(filter(None, (each.why_not, *each.notes, none)))
    return f"{words}: {each.answer}" + (f" ({'; '.join(reasons)})" if reasons else "")


def p(value: float) -> str:
    """Write a p-value."""
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"


def _interval(bounds: Interval, decimals: int) -> str:
    return f"[{bounds[0]:.{decimals}f}, {bounds[1]:.{decimals}f}]"
