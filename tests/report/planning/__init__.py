"""Tests of `peftcli.report.planning`."""
