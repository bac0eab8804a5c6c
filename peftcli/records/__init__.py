"""The one file of an ended run: written, read, joined. No torch."""

from peftcli.records.record import DONE, KEYS, Record, Unreadable, encode, find, path, read, read_all, states, write

__all__ = ["DONE", "KEYS", "Record", "Unreadable", "encode", "find", "path", "read", "read_all", "states", "write"]
