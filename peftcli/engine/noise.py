"""Counter-based noise: every random number is a hash of where it is used.

So it is the same alone, in a cohort, on any device, after a resume, and no random state is kept. A key is 32 bits a run,
hashed from its seed and the step; places are mixed into it.
"""

import hashlib

import torch
from torch import Tensor

_GOLDEN = -1640531527  # 2^32 divided by the golden ratio, as int32: spreads consecutive counters
_ROW = 374761393
STRIDE = 668265263  # spreads the uses of one key
_BITS = 16  # one hash gives two numbers of 16 bits


def seed_key(seed: int, name: str) -> int:
    """Hash a run's seed and a use's name to a 32-bit key (signed)."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little", signed=True)


def mix(x: Tensor) -> Tensor:
    """Scramble int32 numbers (the lowbias32 integer hash by C. Wellons, public domain); the argument is not changed."""
    x = x ^ ((x >> 16) & 0xFFFF)
    x.mul_(0x7FEB352D)
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF))
    x.mul_(-2073254261)  # 0x846ca68b as int32
    return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))


def step_keys(keys: Tensor, step: int) -> Tensor:
    """Give each run's key for one step, [runs] int32."""
    return mix(keys ^ mix(torch.full_like(keys, step).mul_(_GOLDEN)))


def site_keys(keys: Tensor, sites: int) -> Tensor:
    """Give a key for each place in the model that draws noise, [sites, runs] int32."""
    site = torch.arange(1, sites + 1, dtype=torch.int32, device=keys.device)
    return mix(keys[None] + mix(site.mul_(_GOLDEN))[:, None])


def keep(rows: Tensor, width: int, probability: float) -> Tensor:
    """Draw which elements dropout keeps: rows [...] of counters already mixed with a key, to bool [..., width].

    `probability` of being dropped is rounded to a multiple of 2^-16 (see `scale`).
    """
    columns = torch.arange((width + 1) // 2, dtype=torch.int32, device=rows.device).mul_(_GOLDEN)
    drawn = mix(rows[..., None] + columns).view(torch.int16)[..., :width]
    kept: Tensor = drawn >= round(probability * 2**_BITS) - 2 ** (_BITS - 1)
    return kept


def scale(probability: float) -> float:
    """What kept elements are multiplied by, so that the mean does not change."""
    return 1.0 / (1.0 - round(probability * 65536) / 65536)


def rows(keys: Tensor, counters: Tensor) -> Tensor:
    """Mix counters (int32, any shape that broadcasts with keys) into keys: one number for each row of noise."""
    return mix(keys + counters.to(torch.int32) * _ROW)


def ahead(keys: Tensor, counters: Tensor) -> Tensor:
    """Give keys whose `rows` at counter 0 are those of `keys` at these counters, and so on."""
    return keys + counters.to(torch.int32) * _ROW


def uniform(keys: Tensor, site: int, size: int) -> Tensor:
    """Draw uniform numbers in (0, 1) for each run, [runs, size] float32, from its key and a site number."""
    counters = torch.arange(size, dtype=torch.int32, device=keys.device)
    drawn = mix(mix(keys + mix(torch.full_like(keys, site).mul_(_GOLDEN)))[:, None] + counters.mul_(_GOLDEN))
    return (drawn >> 8).bitwise_and_(0xFFFFFF).float().add_(0.5).mul_(2.0**-24)
