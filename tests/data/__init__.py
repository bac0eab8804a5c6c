"""Tests of `peftcli.data`, a file a module."""
