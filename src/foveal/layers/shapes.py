"""What layers ask of an input shape, and how their errors begin with the layer's name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from foveal.errors import FovealError, ShapeError, explain
from foveal.geometry import integer, kernel_axes
from foveal.reference.arguments import SPATIAL

Shape = tuple[int, ...]


@contextmanager
def located(where: str) -> Iterator[None]:
    """Begin every error of Foveal that is raised inside with `where`.

    Examples
    --------
    >>> with located("MaxPool (2x2)"):
    ...     integer(0, "stride")
    Traceback (most recent call last):
    foveal.errors.GeometryError: MaxPool (2x2): stride: expected a positive integer, got 0. Use stride=1...
    """
    try:
        yield
    except FovealError as error:
        raise type(error)(f"{where}: {error}") from None


def positive_shape(input_shape: Any, where: str) -> Shape:
    """Return `input_shape` as a tuple of positive ints.

    Raises
    ------
    ShapeError
        It is not one.

    Examples
    --------
    >>> positive_shape([1, 28, 28], "Convolution")
    (1, 28, 28)
    """
    try:
        shape = tuple(integer(n, "input_shape") for n in input_shape)
    except (FovealError, TypeError):
        shape = ()
    if not shape:
        expected = "an input shape of positive integers, without N"
        raise ShapeError(explain(where, expected=expected, got=repr(input_shape)))
    return shape


def map_shape(input_shape: Any, where: str, kernel: Any = None) -> Shape:
    """Return `input_shape` if it is the shape of a map: (C, L), (C, H, W) or (C, D, H, W), or what `kernel` says.

    Raises
    ------
    ShapeError
        It has another number of axes.

    Examples
    --------
    >>> map_shape((64, 8000), "Convolution"), map_shape((1, 28, 28), "Convolution", (5, 5))
    ((64, 8000), (1, 28, 28))
    >>> map_shape((28, 28), "Convolution", (5, 5))
    Traceback (most recent call last):
    foveal.errors.ShapeError: Convolution: expected an input of shape (C, H, W), got (28, 28)... is (1, 28, 28).
    """
    shape, axes = positive_shape(input_shape, where), kernel_axes(kernel)
    if len(shape) - 1 in SPATIAL and axes in (None, len(shape) - 1):
        return shape
    if axes in SPATIAL:
        expected = f"(C, {SPATIAL[axes]})"
    else:
        expected = f"(C, {SPATIAL[1]}), (C, {SPATIAL[2]}) or (C, {SPATIAL[3]})"
    why = "it is flat" if len(shape) == 1 else f"it has {len(shape)} axes"
    fix = f"One channel of {shape[0]}x{shape[1]} is (1, {shape[0]}, {shape[1]})." if len(shape) == 2 else ""
    raise ShapeError(explain(where, expected=f"an input of shape {expected}", got=str(shape), why=why, fix=fix))


def plain(value: Any) -> Any:
    """Return `value` with lists and arrays as tuples and NumPy numbers as Python's, so that JSON and repr take it.

    Examples
    --------
    >>> plain([np.int64(3), [1, 2]])
    (3, (1, 2))
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(plain(entry) for entry in value) if isinstance(value, list | tuple) else value


def times(value: Any, axes: int = 2) -> str:
    """Return a kernel as messages write it.

    Examples
    --------
    >>> times(5), times((3, 5)), times(9, 1)
    ('5x5', '3x5', '9')
    """
    return "x".join(str(n) for n in (value if isinstance(value, tuple) else (value,) * axes))
