"""Static pages over any number of recipes: an index, and the report of each. No torch."""
