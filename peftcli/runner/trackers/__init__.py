"""Trackers of other libraries, a file each, started by accelerate's classes; imported where something is tracked alone."""
