"""Counter-based noise: every random number is a hash of where it is used.

So it is the same alone, in a cohort, on any device, after a resume, and no random state is kept. A key is 32 bits a run,
hashed from its seed and the step; the layer, the token and the channel are mixed into it.
"""

import hashlib
from collections.abc import Sequence
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
    # The step is one number for all runs: hashed here on the processor, whatever the device of the keys.
    return mix(keys ^ int(mix(torch.tensor([step], dtype=torch.int32).mul_(_GOLDEN))))


def site_keys(keys: Tensor, sites: int) -> Tensor:
    """A key for each layer of the model that draws noise, [sites, runs] int32, from each run's key [runs]."""
    return mix(keys[None] + _sites(sites, keys.device)[:, None])


def numbers(keys: Tensor, sites: int, counts: Sequence[tuple[int, Tensor | None]]) -> tuple[Tensor, ...]:
    """What `site_keys` and `counting` work out, in one pass: on a GPU each of its operations is a kernel.

    `counts`: of each kind of row how many [count], and how many of each run lie in front ([runs] int32, None: none). Returns
    the keys of the sites [sites, runs], then of each kind the row numbers [runs, count]; all int32.
    """
    parts = [keys[:, None] + _sites(sites, keys.device)]
    parts += [_in_order(keys, count, before) for count, before in counts]
    of_sites, *of_rows = mix(torch.cat(parts, 1)).split([part.shape[1] for part in parts], 1)
    return of_sites.T.contiguous(), *(row.bitwise_or(1) for row in of_rows)


@lru_cache(maxsize=64)
def _sites(count: int, device: torch.device) -> Tensor:
    """What is added to a key for each site, [count] int32."""
    return mix(torch.arange(1, count + 1, dtype=torch.int32, device=device).mul_(_GOLDEN))


def _in_order(keys: Tensor, count: int, before: Tensor | None) -> Tensor:
    """What is hashed for each of `count` rows, [runs, count] int32; `before` [runs] lie in front."""
    starts = keys if before is None else keys + before * _ROW
    # Batches differ in their tokens at every step: one table serves all up to the next power of two.
    return starts[:, None] + _counters(1 << max(12, (count - 1).bit_length()), keys.device)[:count]


@lru_cache(maxsize=64)
def _counters(count: int, device: torch.device) -> Tensor:
    """What is added to a key for each row, [count] int32."""
    return torch.arange(count, dtype=torch.int32, device=device).mul_(_ROW)


def multipliers(rows: Tensor, width: int, probability: float, dtype: torch.dtype) -> Tensor:
    """Draw what dropout multiplies elements by, 0 or 1 / (1 - probability): [..., width], from a number for each row [...].

    An element's number is its row's times its column's, both odd and hashed (multiply-shift: Dietzfelbinger et al., 1997),
    of which the upper 24 bits count, the same in every precision.
    """
    # The lower 8 bits are cut off: float32 holds 24, and so compares the very numbers that float64 does.
    drawn = (rows[..., None] * columns(width, rows.device)).bitwise_and_(-256)
    # Above the edge at least 128 is left, which is clamped to the scale; below it nothing is: one pass, no comparison.
    between = edge(probability) - 128  # two numbers that can be drawn
    return drawn.to(dtype).sub_(between).clamp_(0, 1 / (1 - probability))


def edge(probability: float) -> int:
    """The number, as int32, below which an element's number drops it."""
    return round(probability * 2**24) * 256 - 2**31


def columns(width: int, device: torch.device) -> Tensor:
    """What a row's number is multiplied by for each of its elements, [width] int32, odd."""
    return odd(width, _GOLDEN, device)


@lru_cache(maxsize=64)
def odd(count: int, spread: int, device: torch.device) -> Tensor:
    """Random odd numbers, [count] int32, the same for all runs; `spread` tells columns, heads and repetitions apart."""
    return mix(torch.arange(count, dtype=torch.int32, device=device).mul_(spread)).bitwise_or_(1)


def counting(keys: Tensor, tokens: int, before: Tensor | None = None) -> Tensor:
    """Each run's row numbers, odd, for `tokens` tokens, [runs, tokens] int32, from keys [runs]; `before` [runs] lie in front."""
    return mix(_in_order(keys, tokens, before)).bitwise_or_(1)


def at(key: Tensor, rows: Tensor) -> Tensor:
    """What `counting` has at these rows [...], int32, for a key [] or, of rows [runs, rows], for keys [sites, runs, 1]."""
    return mix(key + rows * _ROW).bitwise_or_(1)


def uniform(keys: Tensor, site: int, size: int) -> Tensor:
    """Draw uniform numbers in (0, 1) for each run, [runs, size] float32, from its key and a site number."""
    counters = torch.arange(size, dtype=torch.int32, device=keys.device)
    drawn = mix(mix(keys + mix(torch.full_like(keys, site).mul_(_GOLDEN)))[:, None] + counters.mul_(_GOLDEN))
    # 24 bits, which float32 holds exactly; the half keeps them off 0 and 1, whose logits are infinite.
    return (drawn >> 8).bitwise_and_(0xFFFFFF).float().add_(0.5).mul_(2.0**-24)
