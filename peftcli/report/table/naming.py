"""How notes name cells and runs: the first few, the others counted. No torch."""

from collections.abc import Iterable, Sequence

from peftcli.report.table.table import Cell

LISTED = 8  # named in one note; more are counted


def listed(names: Sequence[str]) -> str:
    """Name the first runs or cells, and count the others."""
    # A grid not yet run would fill pages.
    shown = "; ".join(names[:LISTED])
    return shown if len(names) <= LISTED else f"{shown}; and {len(names) - LISTED} more"


def cells(named: Iterable[Cell]) -> str:
    """Name cells, each strategy and column once: "layernorm on rte; full on cola"."""
    return listed(tuple(dict.fromkeys(f"{cell.strategy} on {cell.column}" for cell in named)))
