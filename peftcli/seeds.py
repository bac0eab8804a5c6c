"""Named random streams of a run on the processor: data order, splits, cuts."""

import hashlib

import numpy as np


def generator(seed: int, name: str) -> np.random.Generator:
    """The random stream of that name that belongs to a run's seed; streams of other names are independent of it."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
