"""Tests of what is said before a sweep starts."""
