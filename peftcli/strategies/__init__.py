"""Every strategy, a function each: importing this package fills the registry."""

from peftcli.strategies import gated, inserted, magnitude, packaged, reset, sparse, whole
from peftcli.strategies.registry import STRATEGIES, Strategy, get, strategy

__all__ = [
    "STRATEGIES",
    "Strategy",
    "gated",
    "get",
    "inserted",
    "magnitude",
    "packaged",
    "reset",
    "sparse",
    "strategy",
    "whole",
]
