"""The one file of an ended run: written, read, joined. No torch."""
