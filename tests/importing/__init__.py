"""Tests of importing other people's runs."""
