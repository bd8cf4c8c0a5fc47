"""Flat memory and how a batch of feature maps lies in it.

Maps are channels-last, (N, H, W, C), without gaps between pixels; around each image there may be a border of zeros
that is written once and saves the convolution that reads it from copying. An image starts at a multiple of 16 floats
and what follows its last value is zero, so that a flattened map is also a row of a matrix.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIGN = 16  # floats: one cache line, and a multiple of every vector
SLACK = 64  # floats behind a buffer that a vector load may touch


def zeros(size: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Return zeroed memory at a 64-byte boundary, with slack behind it."""
    item = np.dtype(dtype).itemsize
    memory = np.zeros(size + SLACK + 64 // item, dtype)
    start = -memory.ctypes.data % 64 // item
    return memory[start : start + size + SLACK]


@dataclass(frozen=True)
class Border:
    """Zero rows and columns around a map: top, bottom, left, right."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __or__(self, other: Border) -> Border:
        """Return the border that has room for both."""
        pairs = zip(
            (self.top, self.bottom, self.left, self.right),
            (other.top, other.bottom, other.left, other.right),
            strict=True,
        )
        return Border(*(max(p) for p in pairs))


@dataclass
class Map:
    """A batch of maps (N, H, W, C) in flat memory.

    Attributes
    ----------
    n, C, H, W : int
        Images there is room for, channels, height and width; a vector of F features is C = F, H = W = 1.
    border : Border
    pixel : int
        Floats from a pixel to the next; C, unless the channels are padded.
    data : ndarray of float32
        The memory.
    """

    n: int
    C: int
    H: int
    W: int
    border: Border = Border()
    pixel: int = 0
    data: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.pixel = self.pixel or self.C
        self.data = zeros(self.n * self.image)

    @property
    def row(self) -> int:
        """Floats from a row to the next."""
        return (self.border.left + self.W + self.border.right) * self.pixel

    @property
    def image(self) -> int:
        """Floats from an image to the next."""
        return -(-(self.border.top + self.H + self.border.bottom) * self.row // ALIGN) * ALIGN

    @property
    def offset(self) -> int:
        """Floats from the start of an image to its first pixel inside the border."""
        return self.border.top * self.row + self.border.left * self.pixel

    @property
    def address(self) -> int:
        """The address of the first pixel of the first image."""
        return self.data.ctypes.data + 4 * self.offset

    @property
    def view(self) -> NDArray[np.float32]:
        """The maps as (n, C, H, W), without copying."""
        return np.lib.stride_tricks.as_strided(
            self.data[self.offset :],
            (self.n, self.C, self.H, self.W),
            (4 * self.image, 4, 4 * self.row, 4 * self.pixel),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return int(self.data.nbytes)
