"""Tests of `peftcli.report.table`."""
