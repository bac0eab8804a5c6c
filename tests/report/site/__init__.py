"""Tests of `peftcli.report.site`."""
