"""What would stop a sweep, said before it starts."""
