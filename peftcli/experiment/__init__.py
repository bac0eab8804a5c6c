"""From a recipe to its runs: protocols, settings, plans, counts. No torch."""
