"""What a transformer is made of, in names and shapes alone. No torch."""
