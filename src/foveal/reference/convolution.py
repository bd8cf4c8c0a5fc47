"""Convolution and its gradients, as the course notes write them: im2col, one matrix product, col2im."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.geometry import Padding, PerAxis
from foveal.reference import arguments
from foveal.reference.im2col import overlap_add, windows

F64 = NDArray[np.float64]


def correlate(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    rounding: str = "floor",
) -> F64:
    """Cross-correlate maps with filters (no flip): ``y[n,k,p,q] = bias[k] + sum_crs x[n,c,p+r,q+s] * w[k,c,r,s]``.

    With a stride and dilation, x is read at ``p*stride + r*dilation - padding``; outside the map it is 0. With groups,
    filter k reads only the channels of its group: filters and channels are cut into `groups` equal parts.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W)
        Feature maps.
    w : ndarray of shape (K, C/groups, R, S)
        Filters.
    bias : ndarray of shape (K,), optional
        One number per filter.
    stride, dilation : int or one per axis
        Steps between windows, and between the taps of a window.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Zeros around the map.
    groups : int
        Parts into which channels and filters are cut.
    rounding : {"floor", "ceil", "error"}
        See `foveal.geometry.output_size`; a window that hangs over the end reads zeros there.

    Returns
    -------
    y : ndarray of shape (N, K, P, Q), float64

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        Channels do not match; the kernel does not fit; an impossible value.

    Source
    ------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> correlate(x, [[[[1, 0], [0, -1]]]])[0, 0]
    array([[-4., -4.],
           [-4., -4.]])
    """
    x, w = arguments.maps(x, "correlate").astype(np.float64), arguments.real(w, "correlate", "w").astype(np.float64)
    window = arguments.convolution(
        "correlate", x, w, bias, stride=stride, padding=padding, dilation=dilation, groups=groups, rounding=rounding
    )
    (n, _), (p, q) = x.shape[:2], window.output(x.shape[2:])
    cols = _columns(windows(x, window), groups)
    filters = w.reshape(groups, len(w) // groups, -1)
    y = filters @ cols  # one matrix product per group: (K/G, C/G*R*S) @ (C/G*R*S, N*P*Q)
    y = y.reshape(len(w), n, p, q).swapaxes(0, 1)
    return y if bias is None else y + np.asarray(bias, np.float64)[:, None, None]


def convolve(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    rounding: str = "floor",
) -> F64:
    """Convolve maps with filters in the sense of mathematics: `correlate` with w flipped along R and S.

    ``y[n,k,p,q] = bias[k] + sum_crs x[n,c,p+r,q+s] * w[k,c,R-1-r,S-1-s]``. Arguments, result and errors as `correlate`.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> convolve(x, [[[[1, 0], [0, -1]]]])[0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    x, w = arguments.maps(x, "convolve"), arguments.real(w, "convolve", "w")
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding}
    arguments.convolution("convolve", x, w, bias, **options)  # type: ignore[arg-type]
    return correlate(x, w[:, :, ::-1, ::-1], bias, **options)  # type: ignore[arg-type]


def correlate_grad(
    x: ArrayLike,
    w: ArrayLike,
    dy: ArrayLike,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> tuple[F64, F64, F64]:
    """Return the gradients (dx, dw, db) of `correlate`: ``dx = col2im(w.T dy)``, ``dw = dy cols.T``, ``db = sum dy``.

    Parameters
    ----------
    x, w
        As in `correlate`.
    dy : ndarray of shape (N, K, P, Q)
        Gradient of y.
    stride, padding, dilation, groups
        As in `correlate`, of which ``rounding="floor"`` is differentiated.

    Returns
    -------
    dx, dw, db : ndarrays of the shapes of x, w and (K,), float64

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        As `correlate`, and when dy has not the shape of y.

    Examples
    --------
    >>> x, w = np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = correlate_grad(x, w, np.ones((1, 1, 2, 2)))
    >>> dx[0, 0], dw[0, 0], db
    (array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]]), array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """
    where = "correlate_grad"
    x, w = arguments.maps(x, where).astype(np.float64), arguments.real(w, where, "w").astype(np.float64)
    window = arguments.convolution(where, x, w, None, stride=stride, padding=padding, dilation=dilation, groups=groups)
    taps = windows(x, window)
    y_shape = (len(x), len(w), *window.output(x.shape[2:]))
    dy = arguments.same_shape(dy, y_shape, where, why="dy has the shape of y").astype(np.float64)
    rows = dy.swapaxes(0, 1).reshape(groups, len(w) // groups, -1)  # (G, K/G, N*P*Q)
    filters = w.reshape(groups, len(w) // groups, -1)
    dw = (rows @ _columns(taps, groups).swapaxes(1, 2)).reshape(w.shape)
    dcols = filters.swapaxes(1, 2) @ rows
    n, c, r, s, p, q = taps.shape
    dtaps = dcols.reshape(c, r, s, n, p, q).transpose(3, 0, 1, 2, 4, 5)
    return overlap_add(dtaps, x.shape[2:], window), dw, dy.sum(axis=(0, 2, 3))


def _columns(taps: F64, groups: int) -> F64:
    """im2col's matrix, transposed and cut by groups: (G, C/G*R*S, N*P*Q). Channels are cut, so R and S stay whole."""
    n, c, r, s, p, q = taps.shape
    return taps.transpose(1, 2, 3, 0, 4, 5).reshape(groups, c // groups * r * s, n * p * q)
