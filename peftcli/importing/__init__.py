"""Runs that somebody else made become records: a table of them, read, laid over a recipe's cells, and written. No torch."""
