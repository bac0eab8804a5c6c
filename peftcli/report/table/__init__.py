"""A table: which records make its cells, and what stands beside them."""
