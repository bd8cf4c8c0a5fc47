"""Pooling and its gradients: the maximum or the mean of every window."""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import DTypeError, ShapeError, explain
from foveal.geometry import Padding, PerAxis, Window
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
    x : ndarray of shape (N, C, H, W)
        Feature maps.
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
    y : ndarray of shape (N, C, P, Q), float64
    indices : ndarray of shape (N, C, P, Q), int64
        ``h*W + w`` in the unpadded map; of equal maxima the first.

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
    x = arguments.maps(x, "max_pool").astype(np.float64)
    (n, c), (h, w) = x.shape[:2], x.shape[2:]
    window = arguments.pooling(
        (h, w), kernel, stride=stride, padding=padding, dilation=dilation, rounding=rounding
    ).fitted((h, w), rounding)
    p, q = window.output((h, w))
    taps = windows(x, window, fill=-np.inf).reshape(n, c, -1, p, q)
    places = windows(np.arange(h * w, dtype=np.float64).reshape(1, 1, h, w), window, fill=-1.0).reshape(-1, p, q)
    best = taps.argmax(axis=2)  # of equal values the first, and taps lie in the order of the map
    # Padding can come first where all is -inf: then the first tap inside the map is the maximum.
    padding_won = np.take_along_axis(places[None, None], best[:, :, None], axis=2)[:, :, 0] < 0
    best = np.where(padding_won, (places >= 0).argmax(axis=0), best)[:, :, None]
    y = np.take_along_axis(taps, best, axis=2)[:, :, 0]
    indices = np.take_along_axis(places[None, None], best, axis=2)[:, :, 0].astype(np.int64)
    return (y, indices) if return_indices else y


def max_pool_grad(dy: ArrayLike, indices: ArrayLike, x_shape: tuple[int, ...]) -> F64:
    """Return dx of `max_pool`: each dy goes to the place of its maximum, ``dx[n, c, indices] += dy``.

    Parameters
    ----------
    dy, indices : ndarrays of shape (N, C, P, Q)
        The gradient of y, and the indices that `max_pool` returned.
    x_shape : (N, C, H, W)
        Shape of the result.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W), float64

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
    dy = arguments.maps(dy, "max_pool_grad", "dy").astype(np.float64)
    indices = arguments.same_shape(indices, dy.shape, "max_pool_grad", "indices", "one index for each number of dy")
    if indices.dtype.kind not in "iu":
        raise DTypeError(explain("max_pool_grad", expected="integer indices", got=f"dtype {indices.dtype}"))
    n, c, h, w = _x_shape(x_shape, dy.shape, "max_pool_grad")
    if indices.size and not (indices.min() >= 0 and indices.max() < h * w):
        expected, got = f"indices from 0 to {h * w - 1}", f"{indices.min()} .. {indices.max()}"
        raise ShapeError(explain("max_pool_grad", expected=expected, got=got, why=f"the map has {h} x {w} positions"))
    dx = np.zeros((n * c, h * w))
    np.add.at(dx, (np.arange(n * c)[:, None], indices.reshape(n * c, -1)), dy.reshape(n * c, -1))
    return dx.reshape(n, c, h, w)


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
    x : ndarray of shape (N, C, H, W)
        Feature maps.
    kernel, stride, padding, rounding
        As in `max_pool`.
    count_padding : bool
        Whether ``count`` counts the padding, as zeros, or only what lies in the map. What "ceil" lets hang over the end
        of the padding is never counted.

    Returns
    -------
    y : ndarray of shape (N, C, P, Q), float64

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
    x = arguments.maps(x, "avg_pool").astype(np.float64)
    window = arguments.pooling(x.shape[2:], kernel, stride=stride, padding=padding, rounding=rounding)
    count = _counts(window, x.shape[2:], rounding, count_padding)
    y: F64 = windows(x, window.fitted(x.shape[2:], rounding)).sum(axis=(2, 3)) / count
    return y


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
    dy : ndarray of shape (N, C, P, Q)
        Gradient of y.
    x_shape : (N, C, H, W)
        Shape of the result.
    kernel, stride, padding, rounding, count_padding
        As in `avg_pool`.

    Returns
    -------
    dx : ndarray of shape (N, C, H, W), float64

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
    dy = arguments.maps(dy, "avg_pool_grad", "dy").astype(np.float64)
    n, c, h, w = _x_shape(x_shape, dy.shape, "avg_pool_grad")
    window = arguments.pooling((h, w), kernel, stride=stride, padding=padding, rounding=rounding)
    y_shape = (n, c, *window.output((h, w), rounding))
    dy = arguments.same_shape(dy, y_shape, "avg_pool_grad", why="dy has the shape of y")
    shares = dy / _counts(window, (h, w), rounding, count_padding)
    taps = np.broadcast_to(shares[:, :, None, None], (n, c, *window.kernel, *y_shape[2:]))
    return overlap_add(taps, (h, w), window.fitted((h, w), rounding))


def _counts(window: Window, spatial: tuple[int, ...], rounding: str, count_padding: bool) -> F64:
    """How many positions each window averages over, (P, Q)."""
    fitted = window.fitted(spatial, rounding)
    counted = np.pad(np.ones(spatial), window.padding, constant_values=float(count_padding))
    over = tuple((0, f[1] - w[1]) for f, w in zip(fitted.padding, window.padding, strict=True))
    taps = windows(counted[None, None], Window(window.kernel, window.stride, over, window.dilation))
    counts: F64 = taps.sum(axis=(0, 1, 2, 3))
    return counts


def _x_shape(x_shape: tuple[int, ...], dy_shape: tuple[int, ...], where: str) -> tuple[int, int, int, int]:
    if len(x_shape) != 4 or tuple(x_shape[:2]) != dy_shape[:2]:
        expected = f"x_shape ({dy_shape[0]}, {dy_shape[1]}, H, W)"
        raise ShapeError(explain(where, expected=expected, got=str(tuple(x_shape)), why=f"dy has shape {dy_shape}"))
    n, c, h, w = x_shape
    return n, c, h, w
