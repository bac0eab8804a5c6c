"""Tests of the experiment: recipe, protocol, settings, run, plan, counts."""
