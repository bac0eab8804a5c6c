"""Tests of the report: tables, claims, figures and their formats."""
