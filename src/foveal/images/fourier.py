"""Large image kernels in the frequency domain: tiles of the image, each with what the kernel sees around it.

The correlation theorem, Y = X conj(K), holds for images that repeat. A tile of L samples gives L - k + 1 samples that
see nothing of the repetition (overlap-save). Only tiles are float32, never the image.
"""

from __future__ import annotations

import functools
import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.images.edges import edge_index
from foveal.images.kernels import Kernel

Image = NDArray[Any]

LONGEST = 1024  # samples of a tile's side, if the kernel leaves room for it: both transforms stay in the caches
# Multiply-adds of the direct way that take as long as one unit of n log2 n here. Measured from 15x15 to 151x151 on
# images of 200x300 to 1080x1920: 70 to 130. The ways meet near 51x51.
RATIO = 100


@functools.cache
def _cut(size: int, kernel: int) -> tuple[int, int]:
    """Return (samples that a tile gives, samples that it reads) for the least work along one axis."""

    def work(tiles: int) -> float:
        length = _good(-(-size // tiles) + kernel - 1)
        return tiles * length * math.log2(length) if length <= max(LONGEST, 2 * kernel) else math.inf

    most = -(-size // max(1, max(LONGEST, 2 * kernel) - kernel)) + 8
    tiles = min(range(1, most + 1), key=work)
    out = -(-size // tiles)
    return out, _good(out + kernel - 1)


@functools.cache
def _good(size: int) -> int:
    """Return the smallest 2^a 3^b 5^c that is not below `size`: lengths that the transform likes."""
    n = max(2, size)
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


def faster_by_fft(shape: tuple[int, int, int], kernel: Kernel) -> bool:
    """Return whether tiles in the frequency domain need less time than all weights one by one."""
    H, W, _ = shape
    if not H * W:
        return False
    direct = H * W * np.count_nonzero(kernel.array)
    tiles = 1.0
    for size, k in zip((H, W), kernel.array.shape, strict=True):
        out, length = _cut(size, k)
        tiles *= -(-size // out) * length
    return bool(direct > RATIO * tiles * math.log2(max(tiles, 2)))


def correlate_by_fft(x: Image, y: Image, colours: int, kernel: Kernel, edge: str) -> int:
    """y = the filtered x, both (H, W, C), uint8 or float32; return how many samples were clipped."""
    from foveal.kernels.threads import pool

    (H, W, _), (kh, kw) = x.shape, kernel.array.shape
    (h, height), (w, width) = _cut(H, kh), _cut(W, kw)
    spectrum = np.fft.rfft2((kernel.array / kernel.scale).astype(np.float32), (height, width)).conj()
    row_index, column_index = (edge_index(n, k // 2, k - 1 - k // 2, edge) for n, k in ((H, kh), (W, kw)))
    y[..., colours:] = x[..., colours:]

    def tile(place: tuple[int, int]) -> int:
        p, q = place
        rows, columns = row_index[p : p + h + kh - 1], column_index[q : q + w + kw - 1]
        seen, out, clipped = x.take(rows, axis=0).take(columns, axis=1), y[p : p + h, q : q + w], 0
        seen[rows < 0], seen[:, columns < 0] = 0, 0
        for c in range(colours):
            product = np.fft.rfft2(seen[..., c].astype(np.float32), (height, width)) * spectrum
            sums = np.fft.irfft2(product, (height, width))[: out.shape[0], : out.shape[1]]
            clipped += _write(sums + np.float32(kernel.offset), out[..., c])
        return clipped

    with ThreadPoolExecutor(pool().size) as threads:
        return sum(threads.map(tile, itertools.product(range(0, H, h), range(0, W, w))))


def _write(values: Image, out: Image) -> int:
    if out.dtype != np.uint8:
        out[...] = values
        return 0
    np.rint(values, out=values)
    clipped = int(np.count_nonzero((values < 0) | (values > 255)))
    out[...] = np.clip(values, 0, 255, out=values)
    return clipped
