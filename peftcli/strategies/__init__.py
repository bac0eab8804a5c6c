"""Every strategy, a function each: importing this package fills the registry."""

from peftcli.strategies import gated, inserted, packaged, reset, sparse, whole
from peftcli.strategies.registry import STRATEGIES, Strategy, get, strategy

__all__ = ["STRATEGIES", "Strategy", "gated", "get", "inserted", "packaged", "reset", "sparse", "strategy", "whole"]
