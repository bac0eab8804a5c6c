"""Tests of `peftcli.report.claims`."""
