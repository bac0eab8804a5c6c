"""The numbers that claims are judged on, ours or the printed ones, and finding them by the names that claims use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from peftcli.errors import UserError, unknown
from peftcli.report.claims.verdicts import Verdict
from peftcli.report.statistics.contrast import Sample
from peftcli.report.table.resampling import Runs
from peftcli.report.table.selectors import Selector

Measure = Literal["mean", "std"]
Key = tuple[str, str, tuple[tuple[str, Any], ...]]  # column, metric, the settings of its task in the recipe
AVERAGE: Key = ("average", "mean", ())


@dataclass(frozen=True)
class Candidate:
    """A sample over seeds that a number may stand for: the runs of one learning rate, or a printed cell.

    `label` is its strategy in words, with the rate where there are several. `pairs` are the seeds that were planned,
    where each controls the same things in every strategy, else None. `collapsed` and `diverged` count runs.
    `choices`: of how many learning rates it is the best on the numbers that are judged, where the others are not known.
    `runs`: what it is over, where that is runs of ours on one test set, so that their predictions can be read.
    """

    label: str
    sample: Sample
    pairs: frozenset[int] | None = None
    collapsed: int = 0
    diverged: int = 0
    choices: int = 1
    runs: Runs | None = None


@dataclass(frozen=True)
class Number:
    """One cell (or a row's average) as a claim sees it, in the table's unit. `table` 0 is the recipe's own.

    `row` is its row's index; `label` and `column_label` are the table's words for its strategy and its column. `values`
    are by seed, None for printed numbers. `trouble` says why it cannot be used (None: it can); `copied` that the authors
    took it from another paper; `diverged` is how many of its runs ended without a value;
    `held_out` what its learning rate is chosen by, None where that is the number itself; `files` are the records of its
    runs by seed, below the results folder. `candidates` are what tests are made on; where there is none, `untestable`
    says why.
    """

    table: int
    row: int
    label: str
    column_label: str
    strategy: str
    options: Mapping[str, Any]
    setting: Mapping[str, Any]
    column: str
    metric: str
    mean: float | None
    std: float | None
    n: int | None
    ddof: int
    values: Mapping[int, float | None] | None
    decimals: int
    baseline: float | None = None
    trouble: Verdict | None = None
    copied: bool = False
    diverged: int = 0
    held_out: float | None = None
    files: Mapping[int, str] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    untestable: str = ""

    @property
    def key(self) -> Key:
        """The column it stands in."""
        # A learning rate may be a setting of the table's rows, but never tells columns apart.
        setting = tuple(item for item in self.setting.items() if item[0] != "learning_rate")
        return self.column, self.metric, setting

    def get(self, measure: Measure) -> float | None:
        """The mean or the deviation as printed: rounded to the table's decimals. None where it has none."""
        # One run has no deviation, even where a divisor of n would make it 0.
        if measure == "std" and (self.n is not None and self.n < 2):
            return None
        value = self.mean if measure == "mean" else self.std
        # Rounded, since a claim is about the numbers that its readers saw.
        return None if value is None else round(value, self.decimals)

    def text(self, measure: Measure) -> str:
        """The number as printed."""
        value = self.get(measure)
        return "-" if value is None else f"{value:.{self.decimals}f}"

    def undecided(self, measure: Measure) -> Verdict | None:
        """Why nothing can be decided with this number; None where it can."""
        if self.trouble:
            return self.trouble
        if self.get(measure) is None:
            return "not enough runs" if self.values is not None else "cannot be judged"
        return None


@dataclass(frozen=True)
class Evidence:
    """All numbers of the recipe's table and of those a claim names besides.

    `output` is the results folder, `beside` that of the recipe, where files with printed points lie; None: not known.
    `unit` is a point in the table's unit: 1 of percent, 0.01 of fractions; `decimals` are those of the table.
    """

    numbers: tuple[Number, ...]
    output: Path | None = None
    beside: Path | None = None
    unit: float = 1.0
    decimals: int = 1

    def name(self, key: Key) -> str:
        """Return a column in the table's words."""
        return next((number.column_label for number in self.numbers if number.key == key), key[0])

    def columns(self, on: Sequence[str] | None) -> list[Key]:
        """Return the columns that a check is about; every one of the own table but the average where it names none.

        Raises UserError for a column that is not there.
        """
        numbers = [number for number in self.numbers if number.table == 0]
        if on is None:
            return list(dict.fromkeys(number.key for number in numbers if number.key != AVERAGE))
        columns: dict[Key, None] = {}
        for text in on:
            selector = Selector.parse(text)
            fitting = [number.key for number in numbers if selector.fits_column(number)]
            if not fitting:
                raise UserError(str(unknown("column of a claim", text, dict.fromkeys(n.column for n in numbers))))
            columns |= dict.fromkeys(fitting)
        return list(columns)

    def rows(self, names: Sequence[str] | None, key: Key) -> list[Number]:
        """Return the numbers of these strategies (all, where None) in a column, copied ones left out.

        A strategy that the own table does not have is looked for in the others. Raises UserError where none has it.
        """
        if names is None:
            return [n for n in self.numbers if n.table == 0 and n.key == key and not n.copied]
        # A row that two names fit counts once; equal numbers of two rows are two.
        numbers: dict[int, Number] = {}
        for name in names:
            numbers |= {id(n): n for n in self.of_strategy(name) if n.key == key and not n.copied}
        return list(numbers.values())

    def contenders(self, names: Sequence[str] | None, key: Key) -> list[Number]:
        """Return the rows as `rows` does, each strategy at the learning rate that is chosen."""
        return at_chosen_rates(self.rows(names, key))

    def of_strategy(self, name: str) -> list[Number]:
        """Return the numbers of a strategy in every column, of the first table that has it; copied ones too.

        Raises UserError where none has it.
        """
        selector = Selector.parse(name)
        fitting = [number for number in self.numbers if selector.fits(number)]
        if not fitting:
            strategies = dict.fromkeys(number.strategy for number in self.numbers)
            raise UserError(str(unknown("strategy of a claim", name, strategies)))
        first = min(number.table for number in fitting)
        return [number for number in fitting if number.table == first]


def best(numbers: Sequence[Number], measure: Measure) -> Number | None:
    """Return the best of some numbers, the highest mean or the lowest deviation; an undecided one if there is any.

    Of one strategy's rows at several learning rates only the one that held-out examples choose counts, where there are any.
    """
    # A row that is open could turn out the best.
    troubled = next((number for number in numbers if number.undecided(measure)), None)
    if troubled is not None or not numbers:
        return troubled
    return max(at_chosen_rates(numbers), key=lambda number: goodness(number, measure))


def at_chosen_rates(numbers: Sequence[Number]) -> list[Number]:
    """Return numbers without those at other learning rates than the one that is best on held-out examples.

    Rows that differ in anything but the rate all stay, and so do rows whose rates cannot be compared: printed ones, and
    those of which one is open. The lower rate wins a tie.
    """
    # Chosen by the numbers that are judged, a rate would flatter its strategy: the best of three is compared with one.
    alike: dict[tuple[int, str, str, Key], list[Number]] = {}
    for number in numbers:
        options = repr(sorted(number.options.items()))  # an option may be a list, which is no key
        alike.setdefault((number.table, number.strategy, options, number.key), []).append(number)
    chosen = set()
    for rates in alike.values():
        validated = [(n.held_out, -n.setting.get("learning_rate", 0.0), n) for n in rates if n.held_out is not None]
        # A rate whose runs are missing might have been the one chosen.
        whole = len(validated) == len(rates) and not any(n.trouble for n in rates)
        chosen |= {id(max(validated, key=lambda each: each[:2])[2])} if whole else set(map(id, rates))
    return [number for number in numbers if id(number) in chosen]


def goodness(number: Number, measure: Measure) -> float:
    """Return a number as printed, larger being better."""
    value = number.get(measure)
    assert value is not None
    return value if measure == "mean" else -value
