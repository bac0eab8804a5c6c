"""Tests of `peftcli.tasks`, a file a module."""
