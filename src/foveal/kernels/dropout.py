"""Dropout: y = x / (1 - rate) where a random number is large enough, else 0; its gradient is the same again.

The random number of a place is `hash32` of `foveal.reference.random` of the place's flat index in (N, C, *spatial)
order, whatever the order in memory. No mask is kept: backward computes it again.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import carray, uint32
from numpy.typing import NDArray

from foveal.kernels.buffers import Map, zeros
from foveal.kernels.compiler import apart, floats, helper, inlined
from foveal.kernels.intrinsics import u32_pointer, wide_vectors
from foveal.kernels.runs import Runs, operands, over_runs, per_run
from foveal.kernels.steps import Step
from foveal.reference import random

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32, u32 = np.float32, np.uint32
BLOCK = 4096  # floats whose indices are in a table
GRAIN = 4096  # a float takes some twenty instructions


@helper
def words(address, size):
    """See memory as uint32 values."""
    return carray(u32_pointer(address), size, uint32)


@inlined
def mix32(x):
    """Return `foveal.reference.random.mix32` of a uint32."""
    x = u32((x ^ (x >> u32(16))) * u32(0x7FEB352D))
    x = u32((x ^ (x >> u32(15))) * u32(0x846CA68B))
    return u32(x ^ (x >> u32(16)))


@apart
def drop(x, indices, first, low_key, high, next_high, threshold, scale, y):
    """y = scale x where hash32(first + index) >= threshold, else 0; the sum may pass 2^32 once."""
    wide_vectors()
    for i in range(y.size):
        low = u32(first + indices[i])
        number = mix32(u32(mix32(u32(low ^ low_key)) + (next_high if low < first else high)))
        y[i] = x[i] * scale if number >= threshold else f32(0)


_FIELDS = "block pixel indices start index_image index_plane low_key high_key threshold"


@per_run(operands("x y", _FIELDS, "scale"), GRAIN)
def dropout(a, image, plane, row, thread):
    """y = x / (1 - rate) where the random number of the place is at least rate 2^32, else 0; y may be x"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    index = a.start + image * a.index_image + plane * a.index_plane + row * (a.size // a.pixel)
    for i in range(0, a.size, a.block):
        n, first = min(a.block, a.size - i), index + i // a.pixel
        high = mix32(u32(u32(first >> 32) ^ u32(a.high_key)))
        next_high = mix32(u32(u32((first >> 32) + 1) ^ u32(a.high_key)))
        drop(floats(x + 4 * i, n), words(a.indices, n), u32(first), u32(a.low_key), high, next_high, u32(a.threshold),
             f32(a.scale), floats(y + 4 * i, n))  # fmt: skip


def map_steps(name: str, x: Map, y: Map, rate: float, seed: int = 0) -> list[Step]:
    """Return the step of y, or of dx (y) from dy (x); y may be x. `reseed` sets another seed later."""
    pixels = x.D * x.H * x.W
    indices = _indices(max(1, BLOCK // x.pixel), x.pixel, pixels)
    places = {"index_image": x.C * pixels, "index_plane": x.H * x.W}
    return [_step(name, x, y, indices, x.pixel, rate, seed, places)]


def array_steps(name: str, x: NDArray[np.float32], y: NDArray[np.float32], rate: float, seed: int) -> list[Step]:
    """Return the steps of y for contiguous arrays of any shape; y may be x."""
    indices = _indices(BLOCK, 1, 0)
    pairs = zip(Runs.of_array(x), Runs.of_array(y), strict=True)
    return [_step(name, a, b, indices, 1, rate, seed, {"start": (a.address - x.ctypes.data) // 4}) for a, b in pairs]


@functools.lru_cache(maxsize=64)
def _indices(columns: int, channels: int, pixels: int) -> NDArray[np.uint32]:
    """Return the indices of the next `columns` pixels, all channels of each, counted from the first one's."""
    table = zeros(columns * channels, np.uint32)
    table[: columns * channels] = (np.arange(columns)[:, None] + pixels * np.arange(channels)).ravel()
    return table[: columns * channels]


def _step(
    name: str, x: Map | Runs, y: Map | Runs, indices: NDArray[np.uint32], pixel: int, rate: float, seed: int,
    places: dict[str, Any],
) -> Step:  # fmt: skip
    places = dict.fromkeys(("start", "index_image", "index_plane"), 0) | places
    made = over_runs(name, dropout, x=x, y=y, block=indices.size, pixel=pixel, indices=indices, low_key=0, high_key=0,
                     threshold=random.threshold(rate), scale=1 / (1 - rate), **places)  # fmt: skip
    reseed(made, seed)
    return made


def reseed(step: Step, seed: int) -> None:
    """Draw another mask from now on: the one of `seed`, 0 to 2^64 - 1."""
    step.field("low_key")[:], step.field("high_key")[:] = random.keys(seed)
