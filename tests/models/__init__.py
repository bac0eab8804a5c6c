"""Tests of the models: families, their tensors and files."""
