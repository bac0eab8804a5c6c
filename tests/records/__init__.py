"""Tests of records: written, read, checked, merged."""
