"""Tests of `peftcli.report.formats`."""
