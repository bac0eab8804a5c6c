"""Tests of tested answers."""
