"""im2col writes each window as one row, so that a convolution is one matrix product; col2im is its adjoint."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import ShapeError, explain
from foveal.geometry import Padding, PerAxis, Window
from foveal.reference import arguments

F64 = NDArray[np.float64]


def im2col(x: ArrayLike, kernel: PerAxis, *, stride: PerAxis = 1, padding: Padding = 0, dilation: PerAxis = 1) -> F64:
    """Lay the windows of maps out as rows: ``cols[(n,p,q), (c,r,s)] = x[n, c, p*stride + r*dilation, q*... + s*...]``.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Feature maps.
    kernel, stride, dilation : int or one per axis
        Taps of a window, steps between windows, steps between taps.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Zeros around the map.

    Returns
    -------
    cols : ndarray of shape (N*P*Q, C*R*S), float64

    Raises
    ------
    ShapeError, GeometryError
        `x` is not a batch of maps; the kernel does not fit.

    Source
    ------
    Chellapilla, Puri and Simard, High performance convolutional neural networks for document processing, 2006.

    Examples
    --------
    >>> im2col(np.arange(9.0).reshape(1, 1, 3, 3), 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.],
           [3., 4., 6., 7.],
           [4., 5., 7., 8.]])
    """
    x = arguments.maps(x, "im2col").astype(np.float64)
    window = Window.resolve(x.shape[2:], kernel, stride, padding, dilation)
    taps = windows(x, window)
    n, c, r, s, p, q = taps.shape
    return taps.transpose(0, 4, 5, 1, 2, 3).reshape(n * p * q, c * r * s)


def col2im(
    cols: ArrayLike,
    x_shape: tuple[int, ...],
    kernel: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
) -> F64:
    """Add every row back to the place that im2col read it from: ``x[where read] += cols``.

    Where windows overlap the values add up, so this is the adjoint of im2col, not its inverse.

    Parameters
    ----------
    cols : ndarray of shape (N*P*Q, C*R*S)
        One row per window.
    x_shape : (N, C, H, W)
        Shape of the result.
    kernel, stride, padding, dilation
        As in `im2col`.

    Returns
    -------
    x : ndarray of shape (N, C, H, W), float64

    Raises
    ------
    ShapeError, GeometryError
        `cols` is not what im2col makes of such an x; the kernel does not fit.

    Examples
    --------
    >>> col2im(np.ones((4, 4)), (1, 1, 3, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    if len(x_shape) != 4:
        raise ShapeError(explain("col2im", expected="x_shape (N, C, H, W)", got=str(tuple(x_shape))))
    window = Window.resolve(x_shape[2:], kernel, stride, padding, dilation)
    (n, c), (r, s), (p, q) = x_shape[:2], window.kernel, window.output(x_shape[2:])
    cols = arguments.same_shape(
        cols, (n * p * q, c * r * s), "col2im", "cols", "one row per window, one column per tap"
    )
    return overlap_add(cols.reshape(n, p, q, c, r, s).transpose(0, 3, 4, 5, 1, 2), x_shape[2:], window)


def windows(x: F64, window: Window, fill: float = 0.0) -> F64:
    """Return the taps (N, C, R, S, P, Q) of maps x (N, C, H, W).

    ``taps[n, c, r, s, p, q]`` is what tap (r, s) of window (p, q) reads.

    Examples
    --------
    >>> windows(np.ones((1, 1, 4, 4)), Window.resolve((4, 4), 3)).shape
    (1, 1, 3, 3, 2, 2)
    """
    padded = np.pad(x, ((0, 0), (0, 0), *window.padding), constant_values=fill)
    taps = np.empty((*x.shape[:2], *window.kernel, *window.output(x.shape[2:])))
    for r, s in np.ndindex(*window.kernel):
        taps[:, :, r, s] = padded[:, :, *_read(r, s, window, x.shape[2:])]
    return taps


def overlap_add(taps: F64, spatial: tuple[int, ...], window: Window) -> F64:
    """Return maps (N, C, H, W) with ``x[where tap (r, s) reads] += taps[:, :, r, s]``: the adjoint of `windows`.

    Examples
    --------
    >>> overlap_add(np.ones((1, 1, 1, 2, 1, 2)), (1, 3), Window.resolve((1, 3), (1, 2)))[0, 0]
    array([[1., 2., 1.]])
    """
    (top, bottom), (left, right) = window.padding
    (h, w) = spatial
    padded = np.zeros((*taps.shape[:2], top + h + bottom, left + w + right))
    for r, s in np.ndindex(*window.kernel):
        padded[:, :, *_read(r, s, window, spatial)] += taps[:, :, r, s]
    return padded[:, :, top : top + h, left : left + w]


def _read(r: int, s: int, window: Window, spatial: tuple[int, ...]) -> tuple[slice, ...]:
    axes = zip((r, s), window.dilation, window.stride, window.output(spatial), strict=True)
    return tuple(slice(tap * d, tap * d + (out - 1) * step + 1, step) for tap, d, step, out in axes)
