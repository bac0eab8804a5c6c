"""Runs of a recipe that differ in their seed alone, each with its record if there is one: what figures are made of."""
