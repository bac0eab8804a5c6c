"""Tests of the launchers: how cohorts are divided, and the processes and jobs that train them."""
