"""The steps that bring the users' arrays into maps and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import images as loops
from foveal.kernels.buffers import Map
from foveal.kernels.steps import Step, step

SEGMENT = 4096  # floats of a segment: read and written, it fits in half of a 32 KB L1 cache
TASK = 6000  # floats of a task: taking one costs about as much as a hundred of them

READERS = {np.dtype(np.uint8): (loops.read_uint8, 1 / 255), np.dtype(np.float32): (loops.read_float32, 1.0)}


def read(name: str, source: NDArray[Any] | int, x: Map, numbers: NDArray[np.int64] | int = 0,
         dtype: Any = np.float32) -> Step:  # fmt: skip
    """Return the step x[i] = source[numbers[i]].

    source : contiguous images (N, C, *spatial) of `dtype`, or an address that is filled in later; uint8 becomes x / 255
    numbers : which images, int64, or 0 for the first ones
    """
    kernel, scale = READERS[np.dtype(dtype)]
    return step(name, kernel, keep=(x,), source=source, numbers=numbers, scale=scale, **_lines(x))


def write(name: str, x: Map, target: NDArray[Any] | int) -> Step:
    """Return the step target[i] = x[i] for float32 arrays (N, C, *spatial), or an address that is filled in later."""
    return step(name, loops.write_float32, keep=(x,), target=target, **_lines(x))


def _lines(x: Map) -> dict[str, Any]:
    """Return how the pixels of a map are cut into segments; without a border they are one long row."""
    planes, rows, columns = (1, 1, x.D * x.H * x.W) if x.bare else x.spatial
    segment = max(16, min(columns, SEGMENT // x.pixel))
    return {
        "x": x.address, "x_image": x.image, "x_plane": x.plane, "x_row": x.row, "x_pixel": x.pixel, "n": x.n,
        "channels": x.C, "planes": planes, "rows": rows, "columns": columns, "segment": segment,
        "segments_a_task": max(1, TASK // (min(segment, columns) * x.pixel)),
    }  # fmt: skip
