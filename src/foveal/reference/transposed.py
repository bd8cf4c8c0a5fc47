"""Transposed convolution: what the gradient of a convolution does to dy, as an operation of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.geometry import Padding, PerAxis
from foveal.reference import arguments
from foveal.reference.convolution import filter_gradient, filtered, per_channel, spread
from foveal.reference.im2col import overlap_add, windows

F64 = NDArray[np.float64]


def conv_transpose(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> F64:
    """Write a copy of the filter for every number of x: ``y[n,k,p*stride+r,q*stride+s] += x[n,c,p,q] * w[c,k,r,s]``.

    This is the adjoint of `correlate` with the same w, stride, padding, dilation and groups: if that one takes maps of
    y's shape to maps of x's, then ``<correlate(y, w), x> = <y, conv_transpose(x, w)>``, and y is the dx that
    `correlate_grad` gives for dy = x. It enlarges a map where the convolution with that stride makes it smaller.

    Transposing flips: with one channel, stride 1 and no padding, ``scipy.signal.convolve(x[0, 0], w[0, 0],
    mode="full")`` gives the same numbers, or ``np.convolve`` with that mode if x is a signal.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial) or (C, *spatial)
        Feature maps: signals (L), images (H, W) or volumes (D, H, W). A single map may come without N.
    w : ndarray of shape (C, K/groups, *kernel)
        Filters, as PyTorch and ONNX have them: those of the convolution that is transposed, which makes C maps of K.
    bias : ndarray of shape (K,), optional
        One number per channel of y.
    stride, dilation : int or one per axis
        Steps between the copies, and between the taps of a filter.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Positions of y that are cut off at the ends; "same" leaves ``size * stride``.
    output_padding : int or one per axis
        Positions added to y at the end of each axis, fewer than the stride or the dilation.
    groups : int
        Parts into which channels and filters are cut.

    Returns
    -------
    y : ndarray of shape (N, K, *size), float64; without N if x came without
        Sizes are those of `foveal.geometry.transposed_size`.

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        Channels do not match; nothing of y remains; an impossible value.

    Source
    ------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285, chapter 4.

    Examples
    --------
    >>> conv_transpose([[1.0, 10.0]], [[[1.0, 2.0, 3.0]]], stride=2)
    array([[ 1.,  2., 13., 20., 30.]])
    >>> np.convolve([1.0, 10.0], [1.0, 2.0, 3.0], "full"), conv_transpose([[1.0, 10.0]], [[[1.0, 2.0, 3.0]]])[0]
    (array([ 1., 12., 23., 30.]), array([ 1., 12., 23., 30.]))
    """
    where, w = "conv_transpose", arguments.filters(w, "conv_transpose", "C, K/groups").astype(np.float64)
    x, single = arguments.batch(x, where, w.ndim - 2)
    window, y_shape = arguments.transposed_convolution(
        where, x, w, bias, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation,
        groups=groups,
    )  # fmt: skip
    y = overlap_add(spread(x.astype(np.float64), w, groups), y_shape[2:], window)
    if bias is not None:
        y += per_channel(bias, y.ndim)
    return y[0] if single else y


def conv_transpose_grad(
    x: ArrayLike,
    w: ArrayLike,
    dy: ArrayLike,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> tuple[F64, F64, F64]:
    """Return the gradients (dx, dw, db) of `conv_transpose`.

    The adjoint of an adjoint is the thing itself, so ``dx = correlate(dy, w)``; dw is that of `correlate` with x and dy
    in each other's place; ``db = sum dy``.

    Parameters
    ----------
    x, w, stride, padding, output_padding, dilation, groups
        As in `conv_transpose`.
    dy : ndarray of the shape of y
        Gradient of y.

    Returns
    -------
    dx, dw, db : ndarrays of the shapes of x, w and (K,), float64

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        As `conv_transpose`, and when dy has not the shape of y.

    Examples
    --------
    >>> dx, dw, db = conv_transpose_grad([[1.0, 10.0]], [[[1.0, 2.0, 3.0]]], [[1.0, 0, 0, 0, 1]], stride=2)
    >>> dx, dw, db
    (array([[1., 3.]]), array([[[ 1.,  0., 10.]]]), array([2.]))
    """
    where, w = "conv_transpose_grad", arguments.filters(w, "conv_transpose_grad", "C, K/groups").astype(np.float64)
    x, single = arguments.batch(x, where, w.ndim - 2)
    window, y_shape = arguments.transposed_convolution(
        where, x, w, None, stride=stride, padding=padding, output_padding=output_padding, dilation=dilation,
        groups=groups,
    )  # fmt: skip
    dy = arguments.gradient(dy, y_shape, where, single).astype(np.float64)
    taps = windows(dy, window, x.shape[2:])
    dx, dw = filtered(taps, w, groups), filter_gradient(taps, x.astype(np.float64), groups)
    return dx[0] if single else dx, dw, dy.sum(axis=(0, *range(2, dy.ndim)))
