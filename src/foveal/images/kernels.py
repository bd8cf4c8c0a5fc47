"""What an image kernel is, and whether it is a column times a row."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.errors import DTypeError, ParameterError, ShapeError, explain

LARGEST = 4095  # rows or columns of an image kernel
HUGE = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Kernel:
    """An image kernel: y = (array correlated with x) / scale + offset.

    Attributes
    ----------
    array : ndarray of shape (kh, kw), float64
        The weights, read-only. Its middle is row kh // 2 and column kw // 2, as in OpenCV and SciPy.
    offset : float
        Added to each sample, in the units of the image: 128 shows negative values of a uint8 image around mid grey.
    scale : float
        What the weighted sum is divided by.
    name : str

    Raises
    ------
    ShapeError
        If the array is not a matrix, is empty, or has more than 4095 rows or columns.
    ParameterError
        If a number is not finite or `scale` is 0.

    Examples
    --------
    >>> print(Kernel([[1, 1], [1, 1]], scale=4, name="mean"))
    mean 2x2, divided by 4
      1  1
      1  1
    """

    array: NDArray[np.float64]
    offset: float = 0.0
    scale: float = 1.0
    name: str = "custom"

    def __post_init__(self) -> None:
        where = f"kernel {self.name!r}"
        try:
            array = np.array(self.array, np.float64)
        except (TypeError, ValueError):
            raise DTypeError(explain(where, expected="rows of equally many numbers", got=_short(self.array))) from None
        if array.ndim != 2 or not array.size or max(array.shape) > LARGEST:
            expected = f"a matrix of 1 to {LARGEST} rows and columns"
            raise ShapeError(explain(where, expected=expected, got=f"shape {array.shape}"))
        if not np.abs(array).sum() <= HUGE / 255:
            raise ParameterError(explain(where, expected="finite numbers whose sum fits float32", got=_short(array)))
        array.flags.writeable = False
        object.__setattr__(self, "array", array)
        object.__setattr__(self, "scale", _number(self.scale, f"{where}: scale"))
        object.__setattr__(self, "offset", _number(self.offset, f"{where}: offset"))
        if abs(self.scale) < 1 / HUGE:
            fix = "The sum is divided by it; 1 changes nothing."
            got = f"{self.scale:g}"
            raise ParameterError(explain(f"{where}: scale", expected="a number other than 0", got=got, fix=fix))

    @property
    def gain(self) -> float:
        """What becomes of an even area of brightness 1: 1 keeps the brightness, 0 leaves edges only."""
        return float(self.array.sum() / self.scale)

    def flipped(self) -> Kernel:
        """Return the kernel turned by 180 degrees: correlating with it is convolving with this one.

        An even number of rows or columns moves the middle to the other side, so a line is added that keeps it.
        """
        kh, kw = self.array.shape
        array = np.pad(self.array[::-1, ::-1], ((1 - kh % 2, 0), (1 - kw % 2, 0)))
        return Kernel(array, self.offset, self.scale, self.name)

    @functools.cached_property
    def separated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """(column, row) whose product is the array, or None.

        If there is such a product, it is that of the cross through the largest weight. It may differ from the array by
        2^-24 of the sum of all |weights|, as much as one rounding of float32. Factors of whole numbers are whole.

        Examples
        --------
        >>> Kernel([[3, 0, -3], [10, 0, -10], [3, 0, -3]]).separated
        (array([ 3., 10.,  3.]), array([ 1.,  0., -1.]))
        >>> Kernel([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).separated is None
        True
        """
        array = self.array
        if 1 in array.shape or not array.any():
            return None
        i, j = np.unravel_index(np.abs(array).argmax(), array.shape)
        whole = (array == np.rint(array)).all() and np.abs(array).max() < 2**53
        row = array[i] / (np.gcd.reduce(array[i].astype(np.int64)) if whole else array[i, j])
        column = array[:, j] / row[j]
        rest = np.abs(array - np.outer(column, row)).sum()
        return (column, row) if rest <= 2.0**-24 * np.abs(array).sum() else None

    def __str__(self) -> str:
        kh, kw = self.array.shape
        head = f"{self.name} {kh}x{kw}"
        head += f", divided by {self.scale:g}" if self.scale != 1 else ""
        head += f", plus {self.offset:g}" if self.offset else ""
        cells = [[f"{value:.4g}" for value in row] for row in self.array]
        width = max(len(cell) for row in cells for cell in row)
        return "\n".join([head, *("  " + "  ".join(f"{cell:>{width}}" for cell in row) for row in cells)])


def _number(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise DTypeError(explain(where, expected="a number", got=repr(value))) from None
    if not abs(number) <= HUGE:
        raise ParameterError(explain(where, expected="a finite number", got=repr(value)))
    return number


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
