"""A recipe's report: its table, its paper's claims, what is missing and what it cost, from the records in a folder."""

from dataclasses import dataclass
from typing import Literal

from peftcli.claims.verdicts import Judged
from peftcli.recipe import Recipe
from peftcli.tables import Table

Format = Literal["terminal", "markdown", "latex", "csv", "json", "html"]


@dataclass(frozen=True)
class Cost:
    """What the recorded runs took: hours of computing, training tokens, and the devices they ran on."""

    hours: float
    tokens: int
    peak_memory_bytes: int
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """All that a report says. `counts`: runs by state (completed, diverged, failed, damaged, missing). `against`: whether
    published numbers stand beside ours. `environments`: distinct versions and devices, one dictionary each.
    """

    recipe: Recipe
    table: Table
    claims: tuple[Judged, ...]
    counts: dict[str, int]
    troubles: tuple[str, ...]
    cost: Cost
    environments: tuple[dict[str, object], ...]
    against: bool
