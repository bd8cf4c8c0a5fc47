"""Sampled signals: the named shapes of the course, and the user's own numbers, from text or a file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal._files import storage_error
from foveal.errors import DataError, DTypeError, FormatError, ParameterError, ShapeError, explain, nearest

Values = NDArray[np.float64]

LONGEST = 4_000  # samples of a signal: a picture is a thousand pixels wide

_NAMED = 8  # numbers that a title can hold


@dataclass(frozen=True)
class Shape:
    """A function of t that is zero outside its support, and how a formula writes it."""

    formula: str
    support: tuple[float, float]
    value: Callable[[Values], Values]


SHAPES = {
    "box": Shape("1 for |t| <= 1/2", (-0.5, 0.5), np.ones_like),
    "spike": Shape("exp(-t) for t >= 0, cut off at 5", (0.0, 5.0), lambda t: np.exp(-t)),
    "triangle": Shape("1 - |t| for |t| <= 1", (-1.0, 1.0), lambda t: 1 - np.abs(t)),
    "ramp": Shape("t for 0 <= t <= 1", (0.0, 1.0), lambda t: t),
    "gaussian": Shape("exp(-t^2 / 2) / sqrt(2 pi), cut off at 4", (-4.0, 4.0),
                      lambda t: np.exp(-t * t / 2) / math.sqrt(2 * math.pi)),
    "exponential": Shape("exp(-|t|), cut off at 5", (-5.0, 5.0), lambda t: np.exp(-np.abs(t))),
    "step": Shape("1 for t >= 0, cut off at 3", (0.0, 3.0), np.ones_like),
    "sine": Shape("sin(2 pi t) for 0 <= t <= 2", (0.0, 2.0), lambda t: np.sin(2 * math.pi * t)),
    "edge": Shape("1 for -1/2 <= t < 0, -1 for 0 < t <= 1/2", (-0.5, 0.5), lambda t: -np.sign(t)),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Samples:
    """Values of a signal, dx apart. Each stands for a cell as wide as dx, with its place in the middle.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
        The samples.
    start : float
        The place of the first one.
    dx : float
        The distance between two.
    name : str
        What titles call the signal.
    """

    values: Values
    start: float
    dx: float
    name: str

    @property
    def places(self) -> Values:
        """Where the samples are, (n,)."""
        return self.start + self.dx * np.arange(len(self.values), dtype=np.float64)

    @property
    def edges(self) -> Values:
        """Where their cells begin and end, (n + 1,)."""
        return self.start + self.dx * (np.arange(len(self.values) + 1, dtype=np.float64) - 0.5)

    @property
    def even(self) -> bool:
        """Whether the signal looks the same when it is flipped about t = 0."""
        centred = abs(self.edges[0] + self.edges[-1]) < 1e-9 * self.dx * len(self.values)
        return centred and bool(np.allclose(self.values, self.values[::-1], rtol=1e-9, atol=1e-12))


def sample(signal: str | ArrayLike | Samples, dx: float, *, where: str = "signal") -> Samples:
    """Sample a named shape in the middle of cells as wide as dx, or take numbers as samples dx apart, the first at 0.

    Parameters
    ----------
    signal : str, array of shape (n,), or Samples
        A name of `SHAPES`, or numbers. Samples are taken as they are.
    dx : float
        Distance between samples. A shape gets as many cells as fit its support best.
    where : str
        How a message names the signal.

    Returns
    -------
    Samples

    Raises
    ------
    ParameterError
        If the name is unknown, or dx too small or too large for the shape.
    ShapeError, DTypeError, DataError
        If the numbers are no signal: see `signal_values`.

    Examples
    --------
    >>> sample("box", 0.25).places
    array([-0.375, -0.125,  0.125,  0.375])
    >>> sample([3, 1, 2], 1).edges
    array([-0.5,  0.5,  1.5,  2.5])
    """
    if isinstance(signal, Samples):
        return signal
    if not isinstance(signal, str):
        values = signal_values(signal, where)
        shown = ", ".join(f"{v:.4g}" for v in values) if len(values) <= _NAMED else f"{len(values):,} samples"
        return Samples(values, 0.0, dx, shown)
    if signal not in SHAPES:
        fix = nearest(signal, SHAPES)
        raise ParameterError(explain(where, expected="a known shape, or numbers", got=repr(signal), fix=fix))
    shape = SHAPES[signal]
    first, last = shape.support
    cells = round((last - first) / dx)
    if not 4 <= cells <= LONGEST:
        expected, got = f"4 to {LONGEST:,} samples of {signal!r}", f"{cells:,} with dx={dx:g}"
        raise ParameterError(explain("dx", expected=expected, got=got, fix="Try dx=0.01."))
    start = first + dx / 2
    return Samples(shape.value(start + dx * np.arange(cells, dtype=np.float64)), start, dx, signal)


def signal_values(numbers: ArrayLike, where: str = "signal") -> Values:
    """Check that these are the samples of a signal, and return them as float64.

    Raises
    ------
    ShapeError
        If they have no or several axes, or are none or too many.
    DTypeError
        If they are no real numbers.
    DataError
        If one is not finite.

    Examples
    --------
    >>> signal_values([1, 2, 3])
    array([1., 2., 3.])
    """
    values = real(numbers, where)
    if values.ndim == 2 and 1 in values.shape:
        values = values.ravel()  # one row or one column of a table
    if values.ndim != 1 or not 0 < len(values) <= LONGEST:
        expected = f"one row of 1 to {LONGEST:,} numbers"
        raise ShapeError(explain(where, expected=expected, got=f"shape {values.shape}"))
    return values


def real(numbers: ArrayLike, where: str) -> Values:
    """Return finite real numbers as float64.

    Raises
    ------
    DTypeError, ShapeError, DataError
        If they are something else.
    """
    try:
        array = np.asarray(numbers)
    except ValueError as error:  # lists of different lengths
        raise ShapeError(explain(where, expected="rows of one length", got=repr(str(error)))) from error
    if array.dtype.kind not in "buif":
        raise DTypeError(explain(where, expected="real numbers", got=str(array.dtype)))
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(explain(where, expected="finite numbers", got=str(values[~np.isfinite(values)][0])))
    return values


def parse(text: str, where: str) -> Values | None:
    """Read numbers: commas or spaces between columns, semicolons or lines between rows. None if it is no numbers.

    Raises
    ------
    ShapeError
        If the rows differ in length.

    Examples
    --------
    >>> parse("1, 2, 3", "signal")
    array([1., 2., 3.])
    >>> parse("1 0; 0 -1", "kernel")
    array([[ 1.,  0.],
           [ 0., -1.]])
    >>> parse("box.csv", "signal")
    """
    lines = [line.split("#")[0].replace(",", " ").split() for line in text.replace(";", "\n").splitlines()]
    rows = [line for line in lines if line]
    try:
        numbers = [[float(word) for word in row] for row in rows]
    except ValueError:
        return None
    if not numbers:
        return None
    if len({len(row) for row in numbers}) > 1:
        got = f"rows of {', '.join(str(len(row)) for row in numbers)} numbers"
        raise ShapeError(explain(where, expected="rows of one length", got=got))
    return np.array(numbers[0] if len(numbers) == 1 else numbers)


def read_numbers(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an array from a file: .npy (never a pickle), or text such as .csv and .txt, with ``#`` before comments.

    Raises
    ------
    StorageError
        If the file cannot be read.
    FormatError
        If it does not hold numbers.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "map.csv"
    >>> _ = path.write_text("# two rows\\n1,2\\n3,4\\n")
    >>> read_numbers(path)
    array([[1., 2.],
           [3., 4.]])
    """
    try:
        if Path(path).suffix.lower() == ".npy":
            with open(path, "rb") as file:
                array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array
        parsed = parse(Path(path).read_text(encoding="utf-8-sig"), str(path))
    except OSError as error:
        raise storage_error(path, "read", error) from error
    except (ValueError, EOFError) as error:
        if isinstance(error, ShapeError):
            raise
        raise FormatError(explain(str(path), expected="an array of numbers", got=repr(str(error)))) from error
    if parsed is None:
        raise FormatError(explain(str(path), expected="numbers, row by row", got="something else"))
    return parsed
