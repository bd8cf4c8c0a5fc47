"""Which algorithm computes a convolution: the choice, and its reason in numbers.

``direct``  the register tile; no matrix, no transform. Work: one multiply-add for each tap of each output.
``im2col``  the windows as rows of a matrix, one product of matrices: the notes' way, and R*S times the memory.
``fft``     transforms of blocks, products between them: the work does not grow with the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foveal.errors import ParameterError, explain, nearest
from foveal.geometry import Padding, PerAxis, Window
from foveal.ops import fourier

METHODS = ("auto", "direct", "im2col", "fft")
LANES = 16  # filters that one multiply-add instruction works on, at best: one filter costs as much as 16
FLOP_COST = 18.0  # multiply-adds of the tile in the time of one FLOP of a transform; `foveal bench ops` measures it
MATRIX = 1 << 28  # numbers of the largest matrix that is made unasked (2 GB in float64)


@dataclass(frozen=True)
class Choice:
    """The method of a convolution, and why; `choose_method` makes it.

    Attributes
    ----------
    method : {"direct", "im2col", "fft"}
    why : str
    macs : int
        Multiply-adds of the direct way.
    flop : float
        Floating-point operations of the way through the Fourier transform.
    """

    method: str
    why: str
    macs: int
    flop: float

    def __str__(self) -> str:
        return f"{self.method}: {self.why}"


def choose_method(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    rounding: str = "floor",
    dtype: Any = np.float32,
) -> Choice:
    """Return what ``correlate(x, w, method="auto")`` does with arrays of these shapes, and why.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, *spatial).
    w_shape : tuple of int
        (K, C/groups, *kernel).
    stride, padding, dilation, groups, rounding
        As in `correlate`.
    dtype : dtype
        float32 has the register tile; float64 has not, and goes through the reference, which is im2col.

    Returns
    -------
    Choice

    Examples
    --------
    >>> print(choose_method((100, 1, 28, 28), (30, 1, 5, 5)))
    direct: 43.2 M multiply-adds cost less than 109.9 M FLOP of Fourier transforms
    >>> choose_method((1, 1, 4096, 4096), (1, 1, 64, 64)).method
    'fft'
    """
    window = Window.resolve(x_shape[2:], w_shape[2:], stride, padding, dilation).fitted(x_shape[2:], rounding)
    return choose(tuple(x_shape), tuple(w_shape), window, groups, np.dtype(dtype))


def choose(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], window: Window, groups: int, dtype: np.dtype[Any]
) -> Choice:
    """Return the choice for arguments that were checked."""
    (N, C), K, output = x_shape[:2], w_shape[0], window.output(x_shape[2:])
    taps = math.prod(w_shape[1:])
    macs = N * K * math.prod(output) * taps
    flop = fourier.flop(output, window, N, C, K, groups) if macs else 0.0
    numbers = f"{macs / 1e6:,.1f} M multiply-adds", f"{flop / 1e6:,.1f} M FLOP of Fourier transforms"
    if dtype == np.float64:
        size = N * math.prod(output) * C * math.prod(window.kernel)
        if size <= MATRIX:
            return Choice("im2col", "float64 goes through the reference, which writes this matrix", macs, flop)
        why = f"im2col's matrix would have {size:,} numbers, {8 * size / 2**30:,.0f} GB"
        return Choice("fft" if _cheaper(macs, flop, K // groups) else "direct", why, macs, flop)
    if _cheaper(macs, flop, K // groups):
        return Choice("fft", f"{numbers[1]} cost less than {numbers[0]}", macs, flop)
    return Choice("direct", f"{numbers[0]} cost less than {numbers[1]}", macs, flop)


def _cheaper(macs: int, flop: float, filters: int) -> bool:
    """Whether transforms take less time than the tile, whose last vector of filters is computed whole."""
    return flop * FLOP_COST < macs * math.ceil(filters / LANES) * LANES / filters


def check_method(method: Any) -> str:
    """Return `method` if it is one of METHODS.

    Raises
    ------
    ParameterError
    """
    if method not in METHODS:
        expected = ", ".join(map(repr, METHODS[:-1])) + f" or {METHODS[-1]!r}"
        raise ParameterError(explain("method", expected=expected, got=repr(method), fix=nearest(str(method), METHODS)))
    return str(method)
