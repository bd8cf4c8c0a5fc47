"""Flat memory and how a batch of feature maps lies in it.

Maps are channels-last, (N, D, H, W, C), without gaps between pixels; 2D maps have one plane (D = 1), 1D maps one row of
it, vectors one pixel. Around each image there may be a border of zeros that is written once and saves the convolution
that reads it from copying. An image starts at a multiple of 16 floats and what follows its last value is zero, so that
a flattened map is also a row of a matrix.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

ALIGN = 16  # floats: one cache line, and a multiple of every vector
SLACK = 64  # floats behind a buffer that a vector load may touch
T = TypeVar("T")


def zeros(size: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Return zeroed memory at a 64-byte boundary, with slack behind it."""
    item = np.dtype(dtype).itemsize
    memory = np.zeros(size + SLACK + 64 // item, dtype)
    start = -memory.ctypes.data % 64 // item
    return memory[start : start + size + SLACK]


class Scratch:
    """Memory that the steps of one plan use one after the other, a part of it for each thread.

    Attributes
    ----------
    threads : int
        Most threads that will run the steps.
    size : int
        Floats of a thread's part.
    """

    size = 1 << 17  # 0.5 MB: it stays in the second-level cache

    def __init__(self, threads: int) -> None:
        self.threads = threads

    @functools.cached_property
    def memory(self) -> NDArray[np.float32]:
        """The parts, one behind the other; made at the first use."""
        return zeros(self.threads * self.size)

    @property
    def nbytes(self) -> int:
        """Bytes of the memory, if it was made."""
        return self.memory.nbytes if "memory" in self.__dict__ else 0


@dataclass(frozen=True)
class Border:
    """Zeros around a map: rows and columns before and after it, and planes."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0
    front: int = 0
    back: int = 0

    def __or__(self, other: Border) -> Border:
        """Return the border that has room for both."""
        return Border(*(max(p) for p in zip(astuple(self), astuple(other), strict=True)))


@dataclass
class Map:
    """A batch of maps (N, D, H, W, C) in flat memory.

    Attributes
    ----------
    n : int
        Images there is room for.
    shape : tuple of int
        One image as users see it: (C, L), (C, H, W), (C, D, H, W), or (F,) for a vector.
    border : Border
    pixel : int
        Floats from a pixel to the next; C, unless the channels are padded.
    data : ndarray of float32
        The memory.
    """

    n: int
    shape: tuple[int, ...]
    border: Border = Border()
    pixel: int = 0
    data: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.C, (self.D, self.H, self.W) = self.shape[0], in_space(self.shape[1:], 1)
        self.pixel = self.pixel or self.C
        b = self.border
        self.row = (b.left + self.W + b.right) * self.pixel
        self.plane = (b.top + self.H + b.bottom) * self.row
        self.image = -(-(b.front + self.D + b.back) * self.plane // ALIGN) * ALIGN
        self.offset = b.front * self.plane + b.top * self.row + b.left * self.pixel
        self.data = zeros(self.n * self.image)

    @property
    def spatial(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        return self.D, self.H, self.W

    @property
    def bare(self) -> bool:
        """Whether there is no border: all pixels of an image are neighbours."""
        return self.border == Border()

    def as_one_row(self) -> Map:
        """Return the same memory seen as 1D maps; there is no border."""
        seen = copy.copy(self)
        seen.D, seen.H, seen.W = 1, 1, self.D * self.H * self.W
        seen.shape, seen.row = (self.C, seen.W), seen.W * self.pixel
        return seen

    @property
    def address(self) -> int:
        """The address of the first pixel of the first image."""
        return self.data.ctypes.data + 4 * self.offset

    @property
    def view(self) -> NDArray[np.float32]:
        """The maps as (n, *shape), without copying."""
        strides = (self.plane, self.row, self.pixel)[4 - len(self.shape) :]
        return np.lib.stride_tricks.as_strided(
            self.data[self.offset :], (self.n, *self.shape), [4 * s for s in (self.image, 1, *strides)]
        )

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return int(self.data.nbytes)


def in_space(values: Sequence[T], fill: T) -> tuple[T, T, T]:
    """Return one value for each of the three axes, from those of the last ones.

    Examples
    --------
    >>> in_space((28, 28), 1), in_space((), 0)
    ((1, 28, 28), (0, 0, 0))
    """
    d, h, w = (*(fill,) * (3 - len(values)), *values)
    return d, h, w
