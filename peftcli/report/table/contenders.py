"""Which of a strategy's rows stands for it where several differ in the learning rate alone. No torch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from peftcli.report.table.table import Cell


@dataclass(frozen=True)
class Contender:
    """One strategy in a column: the cell that stands for it, of its `rows`, one for each learning rate.

    `held_out`: whether held-out examples chose among them. Where there is one row, nothing was chosen among rows.
    """

    cell: Cell
    rows: tuple[Cell, ...]
    held_out: bool

    @property
    def flattered(self) -> bool:
        """Whether its learning rate was chosen on the numbers that are compared: among rows, or within the cell."""
        return (len(self.rows) > 1 and not self.held_out) or self.cell.flattery is not None


def of(cells: Iterable[Cell]) -> list[Contender]:
    """Return the strategies among the cells of a column that have a mean, in their order.

    Rows that differ in an option are strategies of their own: a table has them to be told apart. Of rows that differ in
    the learning rate alone, the one that is best on held-out examples stands for the strategy; where a row has none, or
    lacks runs, the best mean does. The lower rate wins a tie.
    """
    alike: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        if cell.mean is not None:
            setting = {name: value for name, value in cell.setting.items() if name != "learning_rate"}
            # As text: an option may be a list, which is no key.
            alike.setdefault((cell.strategy, repr(cell.options), repr(setting)), []).append(cell)
    return [_chosen(rows) for rows in alike.values()]


def _chosen(rows: Sequence[Cell]) -> Contender:
    # A rate whose runs are missing might have been the one chosen.
    held_out = all(cell.held_out is not None and cell.state == "complete" for cell in rows)

    def order(cell: Cell) -> tuple[float, float]:
        value = cell.held_out if held_out else cell.mean
        assert value is not None
        return value, -(cell.learning_rate or 0.0)

    return Contender(max(rows, key=order), tuple(rows), held_out)
