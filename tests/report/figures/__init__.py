"""Tests of `peftcli.report.figures`."""
