"""Tests of `peftcli.report.formats.html`."""
