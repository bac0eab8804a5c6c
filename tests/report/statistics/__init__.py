"""Tests of `peftcli.report.statistics`."""
