"""Carrying a sweep out: cohort by cohort, to records and checkpoints."""
