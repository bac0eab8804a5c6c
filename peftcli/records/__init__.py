"""The one file of an ended run: written, read, joined. No torch."""

from peftcli.records.body import KEYS, Body, Ending, Unreadable
from peftcli.records.record import DONE, Record, encode, find, path, read, read_all, states, write

__all__ = [
    "DONE",
    "KEYS",
    "Body",
    "Ending",
    "Record",
    "Unreadable",
    "encode",
    "find",
    "path",
    "read",
    "read_all",
    "states",
    "write",
]
