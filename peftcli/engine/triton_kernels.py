"""The fused operations as Triton kernels; imported where Triton is installed and the device is a GPU alone."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from peftcli import noise

TILE = 2048  # elements a program works on, sixteen for each of its threads
COLUMNS = 256  # of them in a row at most: hidden sizes are multiples of it, so no lane idles


@triton.jit
def _rounded(value, dtype: tl.constexpr):
    """Round float32 to the nearest of `dtype`, ties to even."""
    if dtype == tl.bfloat16:
        # By hand: the interpreter cuts the lower half off instead. Half a unit is added, less a bit where the last kept is 0.
        bits = value.to(tl.int32, bitcast=True)
        bits = bits + 0x7FFF + ((bits >> 16) & 1)
        bits = tl.where(value == value, bits, 0x7FC00000)  # not a number stays so, whatever its lower bits
        return (bits >> 16).to(tl.int16).to(tl.bfloat16, bitcast=True)
    return value.to(dtype)


@triton.jit
def drop_kernel(x, rows, columns, out, count, width, edge, scale, ROWS: tl.constexpr, WIDTH: tl.constexpr):
    """Drop elements of x [count, width]: those whose row's number times their column's, wrapped to 32 bits, is below the edge."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = (row < count)[:, None] & (column < width)[None, :]
    number = tl.load(rows + row, mask=row < count, other=0)[:, None]
    drawn = number * tl.load(columns + column, mask=column < width, other=0)[None, :]
    at = row.to(tl.int64)[:, None] * width + column[None, :]  # a large batch has more elements than 32 bits count
    value = tl.load(x + at, mask=inside, other=0).to(tl.float32) * scale
    kept = tl.where(drawn < edge, 0.0, value)
    tl.store(out + at, _rounded(kept, out.dtype.element_ty), mask=inside)


def tile(width: int) -> tuple[int, int]:
    """Rows and columns of x that one program works on."""
    columns = min(COLUMNS, triton.next_power_of_2(width))
    return TILE // columns, columns


def dropped(x: Tensor, rows: Tensor, probability: float) -> Tensor:
    """Drop elements of x [..., channels] by a number for each row, `rows` [...] int32: read once, written once."""
    width = x.shape[-1]
    x, rows = x.contiguous(), rows.expand(x.shape[:-1]).contiguous()
    out, count = torch.empty_like(x), rows.numel()
    tall, wide = tile(width)
    if count:
        drop_kernel[(triton.cdiv(count, tall), triton.cdiv(width, wide))](
            x, rows, noise.columns(width, x.device), out, count, width, noise.edge(probability), 1 / (1 - probability),
            ROWS=tall, WIDTH=wide,
        )  # fmt: skip
    return out


def difference(device: torch.device) -> str | None:
    """What differs between the kernels and the plain forms on this device; None: nothing."""
    from peftcli.engine import fused

    for dtype in (torch.float32, torch.bfloat16):
        for shape in ((3, 50, 768), (2, 4, 33, 33), (5, 1, 2)):
            keys = torch.arange(shape[0], dtype=torch.int32, device=device)
            rows = noise.counting(keys, shape[1])  # [.., rows]
            rows = rows if len(shape) == 3 else rows[..., None] * noise.odd(shape[2], noise.HEAD, device)
            # Values of every size, the same wherever this is asked.
            x = (torch.arange(keys.numel() and torch.Size(shape).numel(), device=device) - 1000).mul(0.0137).to(dtype)
            x = x.view(shape)
            ours, plain = dropped(x, rows, 0.1), fused.dropped_plain(x, rows, 0.1)
            if not torch.equal(ours, plain):
                return f"dropout of {tuple(shape)} {dtype} differs in {int((ours != plain).sum())} elements"
    return None
