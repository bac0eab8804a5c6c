"""Tests of the runner: cohorts, checkpoints, progress and what is shown of them."""
