"""A SLURM cluster of two small nodes on this machine, for the tests."""
