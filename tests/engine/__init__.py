"""Tests of the engine: training a cohort on one shared backbone."""
