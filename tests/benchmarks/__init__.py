"""Benchmarks against what people use now, side by side in one process: `make bench`."""
