"""What a run moved, kept beside its record, and put to use."""
