"""Numbers on samples of runs: what they are, and whether they differ."""
