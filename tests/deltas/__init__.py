"""Tests of deltas: written, put back, predicted with, exported."""
