"""Pooling and its gradients: the maximum or the mean of every window, and max pooling undone."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import DTypeError, ShapeError, explain
from foveal.geometry import Padding, PerAxis, Window, kernel_axes, volume
from foveal.reference import arguments
from foveal.reference.im2col import overlap_add, windows

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@overload
def max_pool(
    x: ArrayLike,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    rounding: str = "floor",
    return_indices: Literal[False] = False,
) -> F64: ...
@overload
def max_pool(
    x: ArrayLike,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    rounding: str = "floor",
    return_indices: Literal[True],
) -> tuple[F64, I64]: ...
def max_pool(
    x: ArrayLike,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    rounding: str = "floor",
    return_indices: bool = False,
) -> F64 | tuple[F64, I64]:
    """Return the maximum of every window: ``y[n,c,p,q] = max_rs x[n, c, p*stride + r, q*stride + s]``.

    Padding is never a maximum, even where all the values that a window sees are -inf. NaN is passed on.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial), or (C, *spatial) where `kernel` has one entry per axis
        Feature maps: signals (L), images (H, W) or volumes (D, H, W).
    kernel, dilation : int or one per axis
        Taps of a window, and steps between them.
    stride : int or one per axis, optional
        The kernel where not given, so that windows touch without overlap.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Positions around the map.
    rounding : {"floor", "ceil", "error"}
        See `foveal.geometry.output_size`.
    return_indices : bool
        Return also where each maximum was, which `max_pool_grad` needs.

    Returns
    -------
    y : ndarray of shape (N, C, P, Q), float64; without N if x came without
    indices : ndarray of the shape of y, int64
        The place in the flattened unpadded map of a channel, ``h*W + w``; of equal maxima the first.

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        `x` is not a batch of maps; the kernel does not fit; a window would see padding only.

    Examples
    --------
    >>> y, indices = max_pool(np.arange(16.0).reshape(1, 1, 4, 4), 2, return_indices=True)
    >>> y[0, 0], indices[0, 0]
    (array([[ 5.,  7.],
           [13., 15.]]), array([[ 5,  7],
           [13, 15]]))
    """
    x, single = arguments.batch(x, "max_pool", kernel_axes(kernel))
    (n, c), spatial = x.shape[:2], x.shape[2:]
    window = arguments.pooling(
        spatial, kernel, stride=stride, padding=padding, dilation=dilation, rounding=rounding
    ).fitted(spatial, rounding)
    count, out = volume(window.kernel), window.output(spatial)
    numbers = np.arange(volume(spatial), dtype=np.float64).reshape(1, 1, *spatial)
    places = windows(numbers, window, fill=-1.0).reshape(1, 1, count, *out)
    taps = windows(x.astype(np.float64), window, fill=-np.inf).reshape(n, c, count, *out)
    best = taps.argmax(axis=2, keepdims=True)  # of equal values the first, and taps lie in the order of the map
    # Padding can come first where all is -inf: then the first tap inside the map is the maximum.
    padding_won = np.take_along_axis(places, best, axis=2) < 0
    best = np.where(padding_won, (places >= 0).argmax(axis=2, keepdims=True), best)
    y = np.take_along_axis(taps, best, axis=2)[:, :, 0]
    indices = np.take_along_axis(places, best, axis=2)[:, :, 0].astype(np.int64)
    if single:
        y, indices = y[0], indices[0]
    return (y, indices) if return_indices else y


def max_pool_grad(dy: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...], *, axes: int | None = None) -> F64:
    """Return dx of `max_pool`: each dy goes to the place of its maximum, ``dx[n, c, indices] += dy``.

    Parameters
    ----------
    dy, indices : ndarrays of the shape of y
        The gradient of y, and the indices that `max_pool` returned.
    x_shape : (N, C, *spatial), or (C, *spatial) where `axes` is given
        Shape of the result.
    axes : int, optional
        How many axes a map has. Only for a single map without N: (3, 8, 8) could be 3 signals of 8 channels as well.

    Returns
    -------
    dx : ndarray of shape `x_shape`, float64

    Raises
    ------
    ShapeError
        `indices` or `x_shape` do not match dy.
    DTypeError
        `indices` are not integers.

    Examples
    --------
    >>> max_pool_grad([[[[1.0, 2.0]]]], [[[[1, 1]]]], (1, 1, 1, 3))[0, 0]
    array([[0., 3., 0.]])
    """
    dy, indices, shape, single = _placed(dy, indices, x_shape, axes, "max_pool_grad", "dy")
    dx = np.zeros((shape[0] * shape[1], volume(shape[2:])))
    np.add.at(dx, (np.arange(len(dx))[:, None], indices), dy)
    return dx.reshape(shape[1:] if single else shape)


def max_unpool(y: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...], *, axes: int | None = None) -> F64:
    """Put maxima back where they came from: ``x[n, c, indices] = y``, and 0 everywhere else.

    Where windows overlap and share a maximum, both write the same number. Of different numbers for one place the last
    is kept.

    Parameters
    ----------
    y, indices : ndarrays of one shape
        The maxima and their places, as `max_pool` returns them.
    x_shape, axes
        As in `max_pool_grad`.

    Returns
    -------
    x : ndarray of shape `x_shape`, float64

    Raises
    ------
    ShapeError, DTypeError
        As `max_pool_grad`.

    Source
    ------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014, section 2.1.

    Examples
    --------
    >>> y, indices = max_pool([[[1.0, 5.0, 7.0, 2.0]]], 2, return_indices=True)
    >>> max_unpool(y, indices, (1, 1, 4))
    array([[[0., 5., 7., 0.]]])
    """
    y, indices, shape, single = _placed(y, indices, x_shape, axes, "max_unpool", "y")
    x = np.zeros((shape[0] * shape[1], volume(shape[2:])))
    np.put_along_axis(x, indices, y, axis=1)
    return x.reshape(shape[1:] if single else shape)


def max_unpool_grad(dx: ArrayLike, indices: ArrayLike, *, axes: int | None = None) -> F64:
    """Return dy of `max_unpool`, whose result is x: what stands in dx at the indices, ``dy = dx[n, c, indices]``.

    Parameters
    ----------
    dx : ndarray of shape (N, C, *spatial), or (C, *spatial) where `axes` is given
        Gradient of x.
    indices, axes
        As in `max_unpool`.

    Returns
    -------
    dy : ndarray of the shape of indices, float64

    Raises
    ------
    ShapeError, DTypeError
        As `max_unpool`.

    Examples
    --------
    >>> max_unpool_grad([[[1.0, 2.0, 3.0, 4.0]]], [[[1, 2]]])
    array([[[2., 3.]]])
    """
    dx = arguments.real(dx, "max_unpool_grad", "dx").astype(np.float64)
    shape = np.shape(indices)
    _, places, (n, c, *spatial), _ = _placed(np.zeros(shape), indices, dx.shape, axes, "max_unpool_grad", "indices")
    return np.take_along_axis(dx.reshape(n * c, volume(spatial)), places, axis=1).reshape(shape)


def avg_pool(
    x: ArrayLike,
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    rounding: str = "floor",
    count_padding: bool = False,
) -> F64:
    """Return the mean of every window: ``y[n,c,p,q] = sum_rs x[n, c, p*stride + r, q*stride + s] / count[p,q]``.

    Parameters
    ----------
    x, kernel, stride, padding, rounding
        As in `max_pool`.
    count_padding : bool
        Whether ``count`` counts the padding, as zeros, or only what lies in the map. What "ceil" lets hang over the end
        of the padding is never counted.

    Returns
    -------
    y : ndarray of shape (N, C, P, Q), float64; without N if x came without

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        As `max_pool`.

    Examples
    --------
    >>> avg_pool(np.arange(16.0).reshape(1, 1, 4, 4), 2)[0, 0]
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """
    x, single = arguments.batch(x, "avg_pool", kernel_axes(kernel))
    spatial = x.shape[2:]
    window = arguments.pooling(spatial, kernel, stride=stride, padding=padding, rounding=rounding)
    taps = windows(x.astype(np.float64), window.fitted(spatial, rounding))
    y: F64 = taps.sum(axis=tuple(range(2, x.ndim))) / _counts(window, spatial, rounding, count_padding)
    return y[0] if single else y


def avg_pool_grad(
    dy: ArrayLike,
    x_shape: tuple[int, ...],
    kernel: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    rounding: str = "floor",
    count_padding: bool = False,
) -> F64:
    """Return dx of `avg_pool`: each dy is spread evenly over its window, ``dx[where read] += dy / count``.

    Parameters
    ----------
    dy : ndarray of the shape of y
        Gradient of y.
    x_shape : (N, C, *spatial), or (C, *spatial) where `kernel` has one entry per axis
        Shape of the result.
    kernel, stride, padding, rounding, count_padding
        As in `avg_pool`.

    Returns
    -------
    dx : ndarray of shape `x_shape`, float64

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        As `avg_pool`, and when dy has not the shape of y.

    Examples
    --------
    >>> avg_pool_grad([[[[4.0, 8.0]]]], (1, 1, 2, 4), 2)[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    (n, c, *sizes), single = arguments.map_shape(x_shape, "avg_pool_grad", kernel_axes(kernel))
    spatial = tuple(sizes)
    window = arguments.pooling(spatial, kernel, stride=stride, padding=padding, rounding=rounding)
    out = window.output(spatial, rounding)
    dy = arguments.gradient(dy, (n, c, *out), "avg_pool_grad", single).astype(np.float64)
    shares = (dy / _counts(window, spatial, rounding, count_padding)).reshape(n, c, *(1,) * len(spatial), *out)
    taps = np.broadcast_to(shares, (n, c, *window.kernel, *out))
    dx = overlap_add(taps, spatial, window.fitted(spatial, rounding))
    return dx[0] if single else dx


def _counts(window: Window, spatial: tuple[int, ...], rounding: str, count_padding: bool) -> F64:
    """How many positions each window averages over, (P, Q)."""
    fitted = window.fitted(spatial, rounding)
    counted = np.pad(np.ones(spatial), window.padding, constant_values=float(count_padding))
    over = tuple((0, f[1] - w[1]) for f, w in zip(fitted.padding, window.padding, strict=True))
    taps = windows(counted[None, None], Window(window.kernel, window.stride, over, window.dilation))
    counts: F64 = taps.sum(axis=tuple(range(2 + len(spatial))))
    return counts


def _placed(
    values: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...], axes: int | None, where: str, name: str
) -> tuple[F64, I64, tuple[int, ...], bool]:
    """Check values and their places; return both as (N*C, P*Q), x's shape with N, and whether it came without."""
    maps, single = arguments.batch(values, where, axes, name)
    given = maps.shape[single:]
    indices = arguments.same_shape(indices, given, where, "indices", f"one index for each number of {name}")
    if indices.dtype.kind not in "iu":
        raise DTypeError(explain(where, expected="integer indices", got=f"dtype {indices.dtype}"))
    if len(x_shape) != len(given) or tuple(x_shape[: 2 - single]) != given[: 2 - single]:
        letters = ", ".join([*map(str, given[: 2 - single]), arguments.SPATIAL[maps.ndim - 2]])
        why = f"{name} has shape {given}"
        raise ShapeError(explain(where, expected=f"x_shape ({letters})", got=str(tuple(x_shape)), why=why))
    shape, _ = arguments.map_shape(x_shape, where, maps.ndim - 2)
    size, flat = volume(shape[2:]), (shape[0] * shape[1], volume(maps.shape[2:]))
    if indices.size and not (indices.min() >= 0 and indices.max() < size):
        expected, got = f"indices from 0 to {size - 1}", f"{indices.min()} .. {indices.max()}"
        why = f"the map has {' x '.join(map(str, shape[2:]))} positions"
        raise ShapeError(explain(where, expected=expected, got=got, why=why))
    return maps.astype(np.float64).reshape(flat), indices.astype(np.int64).reshape(flat), shape, single
