"""Counter-based noise: every random number is a hash of where it is used.

So it is the same alone, in a cohort, on any device, after a resume, and no random state is kept. A key is 32 bits a run,
hashed from its seed and the step; the layer, the token and the channel are mixed into it.
"""

import hashlib
from functools import lru_cache

import torch
from torch import Tensor

# Odd numbers that counters are multiplied by. Each kind of counter has another one: with one for all, (head i, key j) would be
# dropped wherever (head j, key i) is.
_GOLDEN = -1640531527  # 2^32 divided by the golden ratio, as int32: spreads consecutive counters
_ROW = 374761393  # tokens
HEAD = 668265263  # attention heads
REPEAT = 2145357461  # uses of a shared layer


def seed_key(seed: int, name: str) -> int:
    """Hash a run's seed and a use's name to a 32-bit key (signed)."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little", signed=True)


def mix(x: Tensor) -> Tensor:
    """Scramble int32 numbers (the lowbias32 integer hash by C. Wellons, public domain); the argument is not changed."""
    # int32 wraps on every device, where torch has no unsigned type with all operations; its shift copies the sign bit, so what
    # is shifted in is masked off.
    x = x ^ ((x >> 16) & 0xFFFF)
    x.mul_(0x7FEB352D)
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF))
    x.mul_(-2073254261)  # 0x846ca68b as int32
    return x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))


def step_keys(keys: Tensor, step: int) -> Tensor:
    """Each run's key for one step, [runs] int32, from its key [runs]."""
    return mix(keys ^ mix(torch.full_like(keys, step).mul_(_GOLDEN)))


def site_keys(keys: Tensor, sites: int) -> Tensor:
    """A key for each layer of the model that draws noise, [sites, runs] int32, from each run's key [runs]."""
    site = torch.arange(1, sites + 1, dtype=torch.int32, device=keys.device)
    return mix(keys[None] + mix(site.mul_(_GOLDEN))[:, None])


def multipliers(rows: Tensor, width: int, probability: float, dtype: torch.dtype) -> Tensor:
    """Draw what dropout multiplies elements by, 0 or 1 / (1 - probability): [..., width], from a number for each row [...].

    An element's number is its row's times its column's, both odd and hashed (multiply-shift: Dietzfelbinger et al., 1997),
    of which the upper 24 bits count, the same in every precision.
    """
    # The lower 8 bits are cut off: float32 holds 24, and so compares the very numbers that float64 does.
    drawn = (rows[..., None] * odd(width, _GOLDEN, rows.device)).bitwise_and_(-256)
    edge = round(probability * 2**24) * 256 - 2**31 - 128  # between two numbers that can be drawn
    # Above the edge at least 128 is left, which is clamped to the scale; below it nothing is: one pass, no comparison.
    return drawn.to(dtype).sub_(edge).clamp_(0, 1 / (1 - probability))


@lru_cache(maxsize=64)
def odd(count: int, spread: int, device: torch.device) -> Tensor:
    """Random odd numbers, [count] int32, the same for all runs; `spread` tells columns, heads and repetitions apart."""
    return mix(torch.arange(count, dtype=torch.int32, device=device).mul_(spread)).bitwise_or_(1)


def rows(keys: Tensor, counters: Tensor) -> Tensor:
    """Mix counters (int32, any shape that broadcasts with keys) into keys: one odd number for each row of noise."""
    return mix(keys + counters.to(torch.int32) * _ROW).bitwise_or_(1)


def counting(keys: Tensor, tokens: int, before: Tensor | int = 0) -> Tensor:
    """Each run's row numbers for `tokens` tokens, [runs, tokens], from keys [runs]; `before` [runs] lie in front."""
    counters = torch.arange(tokens, dtype=torch.int32, device=keys.device)
    return rows(keys[:, None], counters + (before if isinstance(before, int) else before[:, None]))


def uniform(keys: Tensor, site: int, size: int) -> Tensor:
    """Draw uniform numbers in (0, 1) for each run, [runs, size] float32, from its key and a site number."""
    counters = torch.arange(size, dtype=torch.int32, device=keys.device)
    drawn = mix(mix(keys + mix(torch.full_like(keys, site).mul_(_GOLDEN)))[:, None] + counters.mul_(_GOLDEN))
    # 24 bits, which float32 holds exactly; the half keeps them off 0 and 1, whose logits are infinite.
    return (drawn >> 8).bitwise_and_(0xFFFFFF).float().add_(0.5).mul_(2.0**-24)
