"""What the operations accept: checked once, with messages that say which axis is wrong and what to do.

Shapes and dtypes only; nothing is copied or converted, so that ops/ can ask the same questions and give the same
answers.

**How many axes a map has** is decided here for all. Filters w say it: their axes without the first two. A kernel with
one entry per axis says it. Where a kernel is one int, or there is none, x is a batch and its axes without the first two
are the map's. Where filters or the kernel say it, a single map without N is taken as well, and the result has no N.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import DTypeError, GeometryError, ParameterError, ShapeError, explain
from foveal.geometry import Padding, PerAxis, Window, check_volume, integer, transposed

SPATIAL = {1: "L", 2: "H, W", 3: "D, H, W"}  # by number of axes
KERNEL = {1: "R", 2: "R, S", 3: "T, R, S"}


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


def maps(x: ArrayLike, where: str, name: str = "x", axes: int | None = None) -> NDArray[Any]:
    """Return a batch of feature maps, of shape (N, C, *spatial) with 1 to 3 spatial axes, or as many as `axes` says.

    Raises
    ------
    ShapeError
        `x` has another number of axes, or no channels or no positions: only N may be 0.

    Examples
    --------
    >>> maps(np.zeros((2, 3, 4, 4)), "max_pool").ndim
    4
    """
    array = real(x, where, name)
    if array.ndim - 2 not in ((1, 2, 3) if axes is None else (axes,)):
        raise ShapeError(_wrong_rank(array.shape, where, f"{name} of shape", axes))
    _not_empty(array.shape, where, name)
    return array


def channels(x: ArrayLike, where: str) -> NDArray[Any]:
    """Return examples with channels: maps (N, C, *spatial), or rows of features (N, C).

    Raises
    ------
    ShapeError
        `x` has fewer than two axes, or 0 in another place than N.

    Examples
    --------
    >>> channels(np.zeros((8, 3)), "batch_norm").shape
    (8, 3)
    """
    array = real(x, where)
    if array.ndim < 2:
        raise ShapeError(explain(where, expected="x of shape (N, C) or (N, C, *spatial)", got=str(array.shape)))
    _not_empty(array.shape, where, "x")
    return array


def batch(x: ArrayLike, where: str, axes: int | None, name: str = "x") -> tuple[NDArray[Any], bool]:
    """Return maps of shape (N, C, *spatial), and whether `x` was a single map (C, *spatial), whose results have no N.

    Parameters
    ----------
    x : array_like
        Maps or, where `axes` is known, a single map.
    where, name : str
        What messages begin with, and what they call `x`.
    axes : int or None
        Spatial axes, as filters or a kernel say; None where they do not, and x must be a batch.

    Raises
    ------
    ShapeError
        As `maps`.

    Examples
    --------
    >>> x, single = batch(np.zeros((3, 8, 8)), "correlate", 2)
    >>> x.shape, single
    ((1, 3, 8, 8), True)
    """
    array = real(x, where, name)
    if axes is None:
        return maps(array, where, name), False
    if axes not in SPATIAL or array.ndim - axes not in (1, 2):
        raise ShapeError(_wrong_rank(array.shape, where, f"{name} of shape", axes))
    single = array.ndim == axes + 1
    return maps(array[None] if single else array, where, name, axes), single


def map_shape(x_shape: Sequence[int], where: str, axes: int | None) -> tuple[tuple[int, ...], bool]:
    """Return the shape (N, C, *spatial) of maps, and whether `x_shape` was that of a single map; the rule of `batch`.

    Raises
    ------
    ShapeError
        `x_shape` has another number of entries, or 0 in another place than N.

    Examples
    --------
    >>> map_shape((3, 8, 8), "col2im", 2)
    ((1, 3, 8, 8), True)
    """
    shape = tuple(integer(n, "x_shape", least=0) for n in x_shape)
    single = axes is not None and len(shape) == axes + 1
    if len(shape) - (1 if single else 2) not in ((axes,) if axes in SPATIAL else SPATIAL):
        raise ShapeError(_wrong_rank(shape, where, "x_shape", axes))
    shape = (1, *shape) if single else shape
    _not_empty(shape, where, "x_shape")
    check_volume(shape, where, "x")
    return shape, single


def filters(w: ArrayLike, where: str, shape: str = "K, C/groups") -> NDArray[Any]:
    """Return filters w (K, C/groups, *kernel) with 1 to 3 kernel axes.

    Raises
    ------
    ShapeError
        `w` has another number of axes, or an axis of size 0.

    Examples
    --------
    >>> filters(np.zeros((4, 3, 5, 5)), "correlate").ndim - 2  # spatial axes
    2
    """
    array = real(w, where, "w")
    if array.ndim not in (3, 4, 5):
        expected = ", ".join(f"({shape}, {KERNEL[axes]})" for axes in (1, 2)) + f" or ({shape}, {KERNEL[3]})"
        why = f"it has {array.ndim} axes"
        raise ShapeError(explain(where, expected=f"w of shape {expected}", got=str(array.shape), why=why))
    if 0 in array.shape:
        raise ShapeError(explain(where, expected="w with at least one filter and channel", got=str(array.shape)))
    return array


def gradient(dy: ArrayLike, y_shape: tuple[int, ...], where: str, single: bool = False) -> NDArray[Any]:
    """Return dy in the shape (N, ...) of y; that of a `single` map came without N.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> gradient(np.ones((4, 6, 6)), (1, 4, 6, 6), "correlate_grad", single=True).shape
    (1, 4, 6, 6)
    """
    shape = y_shape[1:] if single else y_shape
    return same_shape(dy, shape, where, why="dy has the shape of y").reshape(y_shape)


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
    shape, channels = filters(w, where).shape, x.shape[1]
    axes, groups = len(shape) - 2, integer(groups, "groups")
    if x.ndim != len(shape):
        raise ShapeError(_wrong_rank(x.shape, where, "x of shape", axes))
    divide(channels, shape[0], groups, where)
    if shape[1] * groups != channels:
        expected = f"w of shape (K, {channels // groups}, {KERNEL[axes]})"
        why = f"x has {channels} channels in {groups} groups and each filter reads {shape[1]}"
        fix = f"Give x {shape[1] * groups} channels, or filters of {channels // groups}."
        raise ShapeError(explain(where, expected=expected, got=str(shape), why=why, fix=fix))
    check_bias(bias, shape[0], where)
    window = Window.resolve(x.shape[2:], shape[2:], stride, padding, dilation)
    check_volume((len(x), shape[0], *window.output(x.shape[2:])), where)
    window = window.fitted(x.shape[2:], rounding)
    check_volume((*x.shape[:2], *window.padded(x.shape[2:])), "padding", "a padded map")
    return window


def transposed_convolution(
    where: str,
    x: NDArray[Any],
    w: ArrayLike,
    bias: ArrayLike | None,
    *,
    stride: PerAxis,
    padding: Padding,
    output_padding: PerAxis,
    dilation: PerAxis,
    groups: int,
) -> tuple[Window, tuple[int, ...]]:
    """Check the arguments of a transposed convolution of maps `x` with filters `w`; return its window and y's shape.

    Raises
    ------
    ShapeError
        Filters, bias or groups do not match the channels of `x`.
    GeometryError
        Nothing of y remains, or `output_padding` is too large.

    Examples
    --------
    >>> x, w = np.zeros((1, 3, 8, 8)), np.zeros((3, 4, 2, 2))
    >>> options = {"stride": 2, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1}
    >>> transposed_convolution("conv_transpose", x, w, None, **options)[1]
    (1, 4, 16, 16)
    """
    shape, channels = filters(w, where, "C, K/groups").shape, x.shape[1]
    axes, groups = len(shape) - 2, integer(groups, "groups")
    if x.ndim != len(shape):
        raise ShapeError(_wrong_rank(x.shape, where, "x of shape", axes))
    if shape[0] != channels:
        expected, why = f"w of shape ({channels}, K/groups, {KERNEL[axes]})", f"x has {channels} channels"
        raise ShapeError(explain(where, expected=expected, got=str(shape), why=why))
    divide(channels, shape[1] * groups, groups, where)
    check_bias(bias, shape[1] * groups, where)
    window, spatial = transposed(x.shape[2:], shape[2:], stride, padding, output_padding, dilation)
    y_shape = len(x), shape[1] * groups, *spatial
    check_volume(y_shape, where)
    check_volume((*y_shape[:2], *window.padded(spatial)), "padding", "a padded map")
    return window, y_shape


def check_bias(bias: ArrayLike | None, filters: int, where: str) -> None:
    """Refuse a bias that has not one number per filter.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> check_bias([0.0, 1.0], 2, "correlate")
    """
    if bias is not None:
        same_shape(bias, (filters,), where, "bias", "it holds one number per filter")


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
    check_volume(window.output(spatial, rounding), "pooling")
    check_volume(window.padded(spatial), "padding", "a padded map")
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


def number(value: Any, where: str, name: str) -> float:
    """Return `value` as a float if it is one finite real number.

    Raises
    ------
    DTypeError, ParameterError

    Examples
    --------
    >>> number(np.float32(0.5), "leaky_relu", "slope")
    0.5
    """
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        raise DTypeError(explain(where, expected=f"{name} to be a number", got=repr(value)))
    if not np.isfinite(value):
        raise ParameterError(explain(where, expected=f"a finite {name}", got=str(value)))
    return float(value)


def axis(value: Any, axes: int, where: str) -> int:
    """Return `value` if it names an axis of an array that has `axes` of them; -1 is the last.

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> axis(-1, 2, "softmax")
    -1
    """
    index = integer(value, "axis", least=-(2**31))
    if not -axes <= index < axes:
        raise ShapeError(explain(where, expected=f"an axis from {-axes} to {axes - 1}", got=str(index)))
    return index


def _not_empty(shape: tuple[int, ...], where: str, name: str) -> None:
    if 0 in shape[1:]:
        expected = f"{name} with at least one channel and position"
        raise ShapeError(explain(where, expected=expected, got=str(shape), why="only N may be 0"))


def _wrong_rank(shape: tuple[int, ...], where: str, what: str, axes: int | None) -> str:
    """Return the message: every shape that would do, what came, and how to get there."""
    why = f"it has {len(shape)} axes" + ("" if axes is None else f" and the kernel {axes}")
    if axes in SPATIAL:
        shapes = f"(N, C, {SPATIAL[axes]}) or (C, {SPATIAL[axes]})"
    else:
        shapes = f"(N, C, {SPATIAL[1]}), (N, C, {SPATIAL[2]}) or (N, C, {SPATIAL[3]})"
    fix = "One grey image (H, W) becomes a batch with x[None, None]." if len(shape) == 2 else ""
    return explain(where, expected=f"{what} {shapes}", got=str(shape), why=why, fix=fix)
