"""The command line: one file a command (those on saved deltas share one), registered in `app`."""
