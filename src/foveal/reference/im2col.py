"""im2col writes each window as one row, so that a convolution is one matrix product; col2im is its adjoint."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.geometry import Padding, PerAxis, Window, check_volume, kernel_axes, volume
from foveal.reference import arguments

F64 = NDArray[np.float64]


def im2col(x: ArrayLike, kernel: PerAxis, *, stride: PerAxis = 1, padding: Padding = 0, dilation: PerAxis = 1) -> F64:
    """Lay the windows of maps out as rows: ``cols[(n,p,q), (c,r,s)] = x[n, c, p*stride + r*dilation, q*... + s*...]``.

    The matrix holds every number of x as often as windows read it, about R*S times:
    `foveal.geometry.im2col_blowup` says how much that is before memory is gone.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial), or (C, *spatial) where `kernel` has one entry per axis
        Feature maps: signals (L), images (H, W) or volumes (D, H, W).
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
        `x` is not a batch of maps; the kernel does not fit; the matrix has 2^60 numbers or more.

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
    x, _ = arguments.batch(x, "im2col", kernel_axes(kernel))
    window = Window.resolve(x.shape[2:], kernel, stride, padding, dilation)
    taps = windows(x.astype(np.float64), window)  # (N, C, R, S, P, Q)
    axes = x.ndim - 2
    rows = np.moveaxis(taps, range(-axes, 0), range(1, 1 + axes))  # (N, P, Q, C, R, S)
    return rows.reshape(len(x) * volume(taps.shape[-axes:]), x.shape[1] * volume(window.kernel))


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

    Where windows overlap the values add up, so this is the adjoint of im2col, not its inverse: of ones it makes how
    often each position is read, and ``col2im(im2col(x))`` is x times that count.

    Parameters
    ----------
    cols : ndarray of shape (N*P*Q, C*R*S)
        One row per window.
    x_shape : (N, C, *spatial), or (C, *spatial) where `kernel` has one entry per axis
        Shape of the result.
    kernel, stride, padding, dilation
        As in `im2col`.

    Returns
    -------
    x : ndarray of shape `x_shape`, float64

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
    shape, single = arguments.map_shape(x_shape, "col2im", kernel_axes(kernel))
    (n, c), spatial = shape[:2], shape[2:]
    window = Window.resolve(spatial, kernel, stride, padding, dilation)
    out = window.output(spatial)
    why = "one row per window, one column per tap"
    cols = arguments.same_shape(cols, (n * volume(out), c * volume(window.kernel)), "col2im", "cols", why)
    rows = cols.astype(np.float64).reshape(n, *out, c, *window.kernel)
    x = overlap_add(np.moveaxis(rows, range(1, 1 + len(out)), range(-len(out), 0)), spatial, window)
    return x[0] if single else x


def windows(x: F64, window: Window, output: tuple[int, ...] | None = None, *, fill: float = 0.0) -> F64:
    """Return the taps (N, C, *kernel, *output) of maps x (N, C, *spatial).

    ``taps[n, c, r, s, p, q]`` is what tap (r, s) of window (p, q) reads. `output` is how many windows are read; without
    it, as many as fit.

    Examples
    --------
    >>> windows(np.ones((1, 1, 4, 4)), Window.resolve((4, 4), 3)).shape
    (1, 1, 3, 3, 2, 2)
    """
    output = window.output(x.shape[2:]) if output is None else output
    shape = *x.shape[:2], *window.kernel, *output
    check_volume((*x.shape[:2], *window.padded(x.shape[2:])), "padding", "a padded map")
    check_volume(shape, "im2col", "a matrix of all windows")
    padded = np.pad(x, ((0, 0), (0, 0), *window.padding), constant_values=fill)
    taps = np.empty(shape, x.dtype)
    for tap in np.ndindex(*window.kernel):
        taps[:, :, *tap] = padded[:, :, *_read(tap, window, output)]
    return taps


def overlap_add(taps: F64, spatial: tuple[int, ...], window: Window) -> F64:
    """Return maps (N, C, *spatial) with ``x[where tap (r, s) reads] += taps[:, :, r, s]``: the adjoint of `windows`.

    Examples
    --------
    >>> overlap_add(np.ones((1, 1, 1, 2, 1, 2)), (1, 3), Window.resolve((1, 3), (1, 2)))[0, 0]
    array([[1., 2., 1.]])
    """
    shape, output = (*taps.shape[:2], *window.padded(spatial)), taps.shape[2 + len(spatial) :]
    check_volume(shape, "padding", "a padded map")
    padded = np.zeros(shape)
    for tap in np.ndindex(*window.kernel):
        padded[:, :, *_read(tap, window, output)] += taps[:, :, *tap]
    axes = zip(spatial, window.padding, strict=True)
    return padded[:, :, *(slice(before, before + n) for n, (before, _) in axes)]


def _read(tap: tuple[int, ...], window: Window, output: tuple[int, ...]) -> tuple[slice, ...]:
    """Return what one tap reads of a padded map, for all windows at once."""
    axes = zip(tap, window.dilation, window.stride, output, strict=True)
    return tuple(slice(t * d, t * d + (out - 1) * step + 1, step) for t, d, step, out in axes)
