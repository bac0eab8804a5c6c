"""A run's named streams: the same numbers for good, and each name its own."""

import numpy as np

from peftcli import seeds


def test_streams_are_the_seed_s_and_the_name_s_for_good() -> None:
    # A change of these numbers is a change of every run's data order.
    assert seeds.generator(0, "order").integers(0, 1000, 5).tolist() == [463, 623, 165, 617, 437]
    assert seeds.generator(0, "split").integers(0, 1000, 5).tolist() == [692, 515, 772, 69, 652]
    assert seeds.generator(1, "order").permutation(6).tolist() == [4, 3, 1, 5, 0, 2]


def test_streams_of_neighbouring_seeds_and_other_names_are_uncorrelated() -> None:
    streams = [(0, "order"), (1, "order"), (0, "split"), (10, "order")]
    draws = np.array([seeds.generator(seed, name).standard_normal(10_000) for seed, name in streams])
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 5 / 100  # five standard deviations of 1 / √10,000
