"""peftcli: which few weights of a pre-trained transformer are worth training. `load_records` reads results."""

from typing import Any

__all__ = ["load_records"]


def __getattr__(name: str) -> Any:
    # Deferred, so that importing the package stays cheap.
    if name == "load_records":
        from peftcli.report.frame import load_records

        return load_records
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
