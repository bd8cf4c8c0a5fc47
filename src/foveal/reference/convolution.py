"""Convolution and its gradients, as the course notes write them: im2col, one matrix product, col2im.

Formulas are written for images; a signal has one axis less, a volume one more, and the code does not care.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.geometry import Padding, PerAxis, volume
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

    This is what deep learning calls convolution. The same numbers, for ``groups=1`` and arrays x and w of shapes
    (N, C, H, W) and (K, C, R, S), come from

    - ``scipy.signal.correlate(x[n], w[k], mode="valid")[0]`` for ``y[n, k]``, whatever the number of axes;
    - ``scipy.signal.correlate2d(x[0, 0], w[0, 0], mode="valid")`` for ``y[0, 0]``, if there is one channel;
    - ``np.correlate(x[0, 0], w[0, 0], mode="valid")`` for ``y[0, 0]``, if they are also signals, (1, 1, L), (1, 1, R).

    ``mode="full"`` is ``padding=[(r - 1, r - 1), ...]`` for kernels of size r, and ``mode="same"`` is
    ``padding=[(r // 2, (r - 1) // 2), ...]``; of ``correlate2d`` alone it is ``padding="same"``, which differs if r is
    even.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial) or (C, *spatial)
        Feature maps: signals (L), images (H, W) or volumes (D, H, W). A single map may come without N.
    w : ndarray of shape (K, C/groups, *kernel)
        Filters. Their axes say how many a map has.
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
    y : ndarray of shape (N, K, P, Q), float64; without N if x came without

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        Channels do not match; the kernel does not fit; an impossible value.

    Source
    ------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 3, 3)
    >>> correlate(x, [[[[1, 0], [0, -1]]]])[0]
    array([[-4., -4.],
           [-4., -4.]])
    >>> correlate([[1.0, 2.0, 4.0]], [[[1, 0]]]), np.correlate([1.0, 2.0, 4.0], [1, 0], "valid")
    (array([[1., 2.]]), array([1., 2.]))
    """
    where, w = "correlate", arguments.filters(w, "correlate").astype(np.float64)
    x, single = arguments.batch(x, where, w.ndim - 2)
    window = arguments.convolution(
        where, x, w, bias, stride=stride, padding=padding, dilation=dilation, groups=groups, rounding=rounding
    )
    y = filtered(windows(x.astype(np.float64), window), w, groups)
    if bias is not None:
        y += per_channel(bias, y.ndim)
    return y[0] if single else y


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

    The layer called Convolution does not flip; this function does. The same numbers, for ``groups=1``, come from

    - ``sum(scipy.signal.convolve(x[n, c], w[k, c], mode="valid") for c in range(C))`` for ``y[n, k]``;
    - ``scipy.signal.convolve2d(x[0, 0], w[0, 0], mode="valid")`` for ``y[0, 0]``, if there is one channel;
    - ``np.convolve(x[0, 0], w[0, 0], mode="valid")`` for ``y[0, 0]``, if they are also signals, (1, 1, L), (1, 1, R).

    ``mode="full"`` is ``padding=[(r - 1, r - 1), ...]`` for kernels of size r, and ``mode="same"`` is
    ``padding=[(r // 2, (r - 1) // 2), ...]``.

    Examples
    --------
    >>> x = np.arange(9.0).reshape(1, 3, 3)
    >>> convolve(x, [[[[1, 0], [0, -1]]]])[0]
    array([[4., 4.],
           [4., 4.]])
    >>> convolve([[1.0, 2.0, 4.0]], [[[1, 0]]]), np.convolve([1.0, 2.0, 4.0], [1, 0], "valid")
    (array([[2., 4.]]), array([2., 4.]))
    """
    w = arguments.filters(w, "convolve")
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding,
    }  # fmt: skip
    maps, _ = arguments.batch(x, "convolve", w.ndim - 2)
    arguments.convolution("convolve", maps, w, bias, **options)
    return correlate(x, np.flip(w, tuple(range(2, w.ndim))), bias, **options)


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
    dy : ndarray of the shape of y
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
    where, w = "correlate_grad", arguments.filters(w, "correlate_grad").astype(np.float64)
    x, single = arguments.batch(x, where, w.ndim - 2)
    window = arguments.convolution(where, x, w, None, stride=stride, padding=padding, dilation=dilation, groups=groups)
    dy = arguments.gradient(dy, (len(x), len(w), *window.output(x.shape[2:])), where, single).astype(np.float64)
    dx = overlap_add(spread(dy, w, groups), x.shape[2:], window)
    dw = filter_gradient(windows(x.astype(np.float64), window), dy, groups)
    return dx[0] if single else dx, dw, dy.sum(axis=(0, *range(2, dy.ndim)))


def filtered(taps: F64, w: F64, groups: int) -> F64:
    """Return ``y[n,k,p,q] = sum_crs taps[n,c,r,s,p,q] * w[k,c,r,s]``: per group one matrix product, filters @ columns.

    Examples
    --------
    >>> filtered(np.ones((1, 1, 2, 2, 3, 3)), np.ones((5, 1, 2, 2)), 1).shape
    (1, 5, 3, 3)
    """
    n, *output = len(taps), *taps.shape[w.ndim :]
    y = _rows(w, groups) @ _columns(taps, groups)  # (G, K/G, C/G*R*S) @ (G, C/G*R*S, N*P*Q)
    return y.reshape(len(w), n, *output).swapaxes(0, 1)


def spread(dy: F64, w: F64, groups: int) -> F64:
    """Return ``taps[n,c,r,s,p,q] = sum_k dy[n,k,p,q] * w[k,c,r,s]``: the adjoint of `filtered` in its taps.

    Examples
    --------
    >>> spread(np.ones((1, 5, 3, 3)), np.ones((5, 1, 2, 2)), 1).shape
    (1, 1, 2, 2, 3, 3)
    """
    n, channels = len(dy), w.shape[1] * groups
    columns = _rows(w, groups).swapaxes(1, 2) @ _rows(dy.swapaxes(0, 1), groups)
    taps = columns.reshape(channels, *w.shape[2:], n, *dy.shape[2:])
    return np.moveaxis(taps, w.ndim - 1, 0)


def filter_gradient(taps: F64, dy: F64, groups: int) -> F64:
    """Return ``dw[k,c,r,s] = sum_npq dy[n,k,p,q] * taps[n,c,r,s,p,q]``: the adjoint of `filtered` in its filters.

    Examples
    --------
    >>> filter_gradient(np.ones((1, 1, 2, 2, 3, 3)), np.ones((1, 5, 3, 3)), 1).shape
    (5, 1, 2, 2)
    """
    channels, kernel = taps.shape[1], taps.shape[2 : dy.ndim]
    dw = _rows(dy.swapaxes(0, 1), groups) @ _columns(taps, groups).swapaxes(1, 2)
    return dw.reshape(dy.shape[1], channels // groups, *kernel)


def per_channel(numbers: ArrayLike, axes: int) -> F64:
    """Return one number per channel in a shape that broadcasts over maps of `axes` axes (N, C, ...).

    Examples
    --------
    >>> per_channel([1.0, 2.0], 4).shape
    (2, 1, 1)
    """
    return np.asarray(numbers, np.float64).reshape(-1, *(1,) * (axes - 2))


def _rows(w: F64, groups: int) -> F64:
    """Cut the first axis by groups and flatten the others: (G, K/G, everything else)."""
    return w.reshape(groups, len(w) // groups, volume(w.shape[1:]))


def _columns(taps: F64, groups: int) -> F64:
    """im2col's matrix, transposed and cut by groups: (G, C/G*R*S, N*P*Q). Channels are cut, so R and S stay whole."""
    (n, c), axes = taps.shape[:2], taps.ndim // 2 - 1
    rows = c // groups * volume(taps.shape[2 : 2 + axes])
    return np.moveaxis(taps, 0, 1 + axes).reshape(groups, rows, n * volume(taps.shape[2 + axes :]))
