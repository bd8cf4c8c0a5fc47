"""What the operations accept: checked once, with messages that say which axis is wrong and what to do.

Shapes and dtypes only; nothing is copied or converted, so that ops/ can ask the same questions and give the same
answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import DataError, DTypeError, GeometryError, ShapeError, explain
from foveal.geometry import Padding, PerAxis, Window, integer

LETTERS = "NCHW"


def real(array: ArrayLike, where: str, name: str = "x") -> NDArray[Any]:
    """Return `array` as an ndarray of real numbers (floating point, integers or bool), as it is in memory.

    Raises
    ------
    DTypeError
        It holds complex numbers, text or objects.

    Examples
    --------
    >>> real([1, 2], "relu").shape
    (2,)
    """
    try:
        result = np.asarray(array)
    except ValueError:  # rows of different lengths
        raise ShapeError(explain(where, expected=f"{name} to be one array", got="rows of different lengths")) from None
    if result.dtype.kind not in "fiub":
        fix = f"Convert it first: {name}.astype('float32')."
        raise DTypeError(explain(where, expected=f"{name} of real numbers", got=f"dtype {result.dtype}", fix=fix))
    return result


def maps(x: ArrayLike, where: str, name: str = "x") -> NDArray[Any]:
    """Return feature maps of shape (N, C, H, W).

    Raises
    ------
    ShapeError
        `x` has another number of axes.

    Examples
    --------
    >>> maps(np.zeros((2, 3, 4, 4)), "correlate").ndim
    4
    """
    array = real(x, where, name)
    if array.ndim == 4:
        return array
    if array.ndim in (3, 5):
        why = "1D and 3D maps are not there yet"
        fix = f"One image (C, H, W) becomes a batch of one with {name}[None]." if array.ndim == 3 else ""
    else:
        why, fix = f"it has {array.ndim} axes", f"One grey image (H, W) becomes a batch with {name}[None, None]."
    expected = f"{name} of shape (N, C, H, W)"
    raise ShapeError(explain(where, expected=expected, got=str(array.shape), why=why, fix=fix))


def convolution(
    where: str,
    x: NDArray[Any],
    w: ArrayLike,
    bias: ArrayLike | None,
    *,
    stride: PerAxis,
    padding: Padding,
    dilation: PerAxis,
    groups: int,
    rounding: str = "floor",
) -> Window:
    """Check the arguments of a convolution of maps `x` with filters `w`, and return its window, fitted to `rounding`.

    Raises
    ------
    ShapeError
        Filters, bias or groups do not match the channels of `x`.
    GeometryError
        The kernel does not fit the map.

    Examples
    --------
    >>> x, w = np.zeros((1, 3, 8, 8)), np.zeros((4, 3, 3, 3))
    >>> convolution("correlate", x, w, None, stride=1, padding=1, dilation=1, groups=1).kernel
    (3, 3)
    """
    filters, channels = real(w, where, "w"), x.shape[1]
    if filters.ndim != 4:
        expected, why = "w of shape (K, C/groups, R, S)", f"it has {filters.ndim} axes and x has 4"
        raise ShapeError(explain(where, expected=expected, got=str(filters.shape), why=why))
    groups = integer(groups, "groups")
    divide(channels, filters.shape[0], groups, where)
    if filters.shape[1] * groups != channels:
        expected = f"w of shape (K, {channels // groups}, R, S)"
        why = f"x has {channels} channels in {groups} groups and each filter reads {filters.shape[1]}"
        fix = f"Give x {filters.shape[1] * groups} channels, or filters of {channels // groups}."
        raise ShapeError(explain(where, expected=expected, got=str(filters.shape), why=why, fix=fix))
    if bias is not None and real(bias, where, "bias").shape != filters.shape[:1]:
        expected, got = f"bias of shape ({filters.shape[0]},)", str(np.shape(bias))
        raise ShapeError(explain(where, expected=expected, got=got, why="it holds one number per filter"))
    window = Window.resolve(x.shape[2:], filters.shape[2:], stride, padding, dilation)
    return window.fitted(x.shape[2:], rounding)


def divide(channels: int, filters: int, groups: int, where: str) -> None:
    """Refuse `groups` that do not divide the channels and the filters.

    Raises
    ------
    GeometryError

    Examples
    --------
    >>> divide(6, 4, 2, "correlate")
    """
    if channels % groups or filters % groups:
        shared = [str(g) for g in range(1, min(channels, filters) + 1) if channels % g == 0 and filters % g == 0]
        expected = f"groups that divide {channels} channels and {filters} filters"
        raise GeometryError(explain(where, expected=expected, got=str(groups), fix=f"Possible: {', '.join(shared)}."))


def pooling(
    spatial: Sequence[int],
    kernel: PerAxis,
    *,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis = 1,
    rounding: str = "floor",
) -> Window:
    """Check the arguments of a pooling, and return its window (not fitted); ``stride=None`` means the kernel.

    Raises
    ------
    GeometryError
        The kernel does not fit, or a window would see padding only: over nothing there is no maximum and no mean.

    Examples
    --------
    >>> pooling((4, 4), 2, stride=None, padding=0).stride
    (2, 2)
    """
    window = Window.resolve(spatial, kernel, kernel if stride is None else stride, padding, dilation)
    window.check_sighted(spatial, rounding)
    return window


def same_shape(array: ArrayLike, shape: tuple[int, ...], where: str, name: str = "dy", why: str = "") -> NDArray[Any]:
    """Return `array` if it has exactly `shape`.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> same_shape([[1.0, 2.0]], (1, 2), "relu_grad").shape
    (1, 2)
    """
    result = real(array, where, name)
    if result.shape != tuple(shape):
        raise ShapeError(explain(where, expected=f"{name} of shape {tuple(shape)}", got=str(result.shape), why=why))
    return result


def targets(where: str, scores: NDArray[Any], t: ArrayLike) -> NDArray[np.int64] | NDArray[Any]:
    """Return labels for `scores` of shape (N, classes): indices of shape (N,), or one-hot rows as they came.

    Rows may also be soft labels: non-negative numbers that sum to 1.

    Raises
    ------
    ShapeError, DTypeError, DataError
        Wrong shape; indices that are not integers; labels out of range, or rows that do not sum to 1.

    Examples
    --------
    >>> targets("cross_entropy", np.zeros((2, 3)), [0, 2])
    array([0, 2])
    """
    if scores.ndim != 2 or 0 in scores.shape:
        expected = "scores of shape (N, classes) with at least one row"
        raise ShapeError(explain(where, expected=expected, got=str(scores.shape)))
    n, classes = scores.shape
    labels = real(t, where, "t")
    if labels.shape == (n, classes):
        if not (np.all(labels >= 0) and np.allclose(labels.sum(axis=1), 1, atol=1e-5)):
            got = f"rows that sum to {labels.sum(axis=1).min():g} .. {labels.sum(axis=1).max():g}"
            raise DataError(explain(where, expected="one-hot rows: non-negative, sum 1", got=got))
        return labels
    if labels.shape != (n,):
        expected = f"t of shape ({n},) with class indices, or ({n}, {classes}) one-hot"
        fix = "Flatten it with t.ravel()." if labels.size == n else ""
        raise ShapeError(explain(where, expected=expected, got=str(labels.shape), fix=fix))
    if labels.dtype.kind not in "iu":
        fix = "Convert it first: t.astype('int64')."
        raise DTypeError(explain(where, expected="integer class indices t", got=f"dtype {labels.dtype}", fix=fix))
    if labels.min() < 0 or labels.max() >= classes:
        expected = f"class indices from 0 to {classes - 1}"
        fix = "Number the classes from 0, or give the last layer more units."
        raise DataError(explain(where, expected=expected, got=f"{labels.min()} .. {labels.max()}", fix=fix))
    return labels.astype(np.int64)
