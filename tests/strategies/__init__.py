"""Tests of the strategies: what each lets move, and how."""
