"""How a contraction is cut into tiles that threads compute: by its sizes alone, so that results never depend on threads.

Measured with AVX-512, float32, sums of 1,024: tiles of 512 x 128 are fastest, and those of 64 x 64 at most a tenth slower; with
few rows a tile needs 128 columns; up to 128 rows, panels need not be copied. So tiles are large, for little traffic between cache
and memory, and shrink only until there are enough of them to share among threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from graphc.ir.dims import Size

LARGE = (512, 128)  # rows and columns of a tile where there is work for many
WORK = 1 << 18  # multiplications from which on a thread pays: some 3 microseconds
RUN = 4096  # terms of a sum that a thread adds up where several share it: part of the order of summation, for all targets
MANY = 16  # tiles that suffice for any number of cores
USUAL = {"m": 512, "n": 128, "k": 256, "batch": 1}  # the value assumed for a size that only a call knows


def outer_tiles(m: Size, n: Size, k: Size, batch: Sequence[Size] = (), panel: int = 32) -> tuple[int, int]:
    """Rows and columns of the tiles of an m x n result that sums k products, for each index of the batch axes.

    Columns are cut at multiples of `panel`, which a target's vectors make.

    >>> outer_tiles(64, 64, 64), outer_tiles(256, 256, 256), outer_tiles(1024, 1024, 1024)
    ((64, 64), (64, 64), (512, 128))
    >>> outer_tiles(128, 10, 512)
    (64, 10)
    """
    rows, columns, length = (max(1, s) if isinstance(s, int) else USUAL[v] for s, v in ((m, "m"), (n, "n"), (k, "k")))
    times = math.prod(s if isinstance(s, int) else USUAL["batch"] for s in batch)
    wanted = min(MANY, times * rows * columns * length // WORK)
    tall, wide = min(rows, LARGE[0]), min(columns, LARGE[1])
    for tall_limit, wide_limit in ((256, 128), (128, 128), (128, 64), (64, 64)):
        if times * -(-rows // tall) * -(-columns // wide) >= wanted:
            break
        tall, wide = min(tall, tall_limit), min(wide, wide_limit) if rows >= 16 else wide
    tall, wide = _even(rows, tall, 1), _even(columns, wide, panel)
    parts = -(-rows // tall)
    if parts > 1 and parts * times * -(-columns // wide) % 2:  # or one of two threads would wait for the last tile
        tall = -(-rows // (parts + 1))
    return tall, wide


def split_length(m: Size, n: Size, k: Size, batch: Sequence[Size] = ()) -> int | None:
    """How many products one thread adds up where a result is too small for several tiles and the sums are long; else None.

    >>> split_length(20, 20, 1_000_000), split_length(512, 512, 1_000_000)
    (4096, None)
    """
    if batch or not isinstance(m, int) or not isinstance(n, int):
        return None
    if isinstance(k, int):
        return RUN if m * n <= LARGE[1] ** 2 and k >= 2 * RUN else None
    return RUN if m * n <= (LARGE[1] // 2) ** 2 else None


def _even(size: int, tile: int, multiple: int) -> int:
    """The tile that cuts a size into as many parts as the given tile does, but of nearly equal size."""
    parts = max(1, -(-size // tile))
    return size if parts == 1 else -(-size // (parts * multiple)) * multiple
