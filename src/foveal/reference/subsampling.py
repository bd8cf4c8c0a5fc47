"""LeNet's subsampling: the sum of a window, times a number and plus a number that each channel learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.geometry import PerAxis, Window, kernel_axes
from foveal.reference import arguments
from foveal.reference.convolution import per_channel
from foveal.reference.im2col import overlap_add, windows

F64 = NDArray[np.float64]


def subsample(
    x: ArrayLike, coefficient: ArrayLike, bias: ArrayLike, kernel: PerAxis = 2, *, stride: PerAxis | None = None
) -> F64:
    """Return ``y[n,c,p,q] = coefficient[c] * sum_rs x[n, c, p*stride + r, q*stride + s] + bias[c]``.

    With coefficient 1/(R*S) and bias 0 this is average pooling.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial), or (C, *spatial) where `kernel` has one entry per axis
        Feature maps: signals (L), images (H, W) or volumes (D, H, W).
    coefficient, bias : ndarrays of shape (C,)
        Learned, one number per channel.
    kernel : int or one per axis
        Size of a window.
    stride : int or one per axis, optional
        The kernel where not given, so that windows touch without overlap.

    Returns
    -------
    y : ndarray of shape (N, C, P, Q), float64; without N if x came without

    Raises
    ------
    ShapeError, GeometryError
        `coefficient` or `bias` do not match the channels; the kernel does not fit.

    Source
    ------
    LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, section II.B.

    Examples
    --------
    >>> subsample([[[1.0, 2.0, 3.0, 4.0]]], [10.0], [0.5])
    array([[[30.5, 70.5]]])
    """
    x, coefficient, window, single = _checked(x, coefficient, kernel, stride, "subsample")
    bias = arguments.same_shape(bias, coefficient.shape, "subsample", "bias", "it holds one number per channel")
    sums = windows(x, window).sum(axis=tuple(range(2, x.ndim)))
    y: F64 = sums * per_channel(coefficient, x.ndim) + per_channel(bias, x.ndim)
    return y[0] if single else y


def subsample_grad(
    x: ArrayLike, coefficient: ArrayLike, dy: ArrayLike, kernel: PerAxis = 2, *, stride: PerAxis | None = None
) -> tuple[F64, F64, F64]:
    """Return the gradients (dx, dcoefficient, dbias) of `subsample`.

    ``dx[where a window reads] += coefficient * dy``, ``dcoefficient = sum_npq dy * (sum of the window)``, ``dbias =
    sum_npq dy``.

    Parameters
    ----------
    x, coefficient, kernel, stride
        As in `subsample`.
    dy : ndarray of the shape of y
        Gradient of y.

    Returns
    -------
    dx, dcoefficient, dbias : ndarrays of the shapes of x, (C,) and (C,), float64

    Raises
    ------
    ShapeError, GeometryError
        As `subsample`, and when dy has not the shape of y.

    Examples
    --------
    >>> subsample_grad([[[1.0, 2.0, 3.0, 4.0]]], [10.0], [[[1.0, 2.0]]])
    (array([[[10., 10., 20., 20.]]]), array([17.]), array([3.]))
    """
    x, coefficient, window, single = _checked(x, coefficient, kernel, stride, "subsample_grad")
    taps = windows(x, window)
    out, inside = taps.shape[x.ndim :], tuple(range(2, x.ndim))
    dy = arguments.gradient(dy, (*x.shape[:2], *out), "subsample_grad", single).astype(np.float64)
    shares = np.expand_dims(dy * per_channel(coefficient, x.ndim), inside)  # each tap of a window gets the same
    dx = overlap_add(np.broadcast_to(shares, taps.shape), x.shape[2:], window)
    dcoefficient = (dy * taps.sum(axis=inside)).sum(axis=(0, *inside))
    return dx[0] if single else dx, dcoefficient, dy.sum(axis=(0, *inside))


def _checked(
    x: ArrayLike, coefficient: ArrayLike, kernel: PerAxis, stride: PerAxis | None, where: str
) -> tuple[F64, F64, Window, bool]:
    maps, single = arguments.batch(x, where, kernel_axes(kernel))
    window = arguments.pooling(maps.shape[2:], kernel, stride=stride, padding=0)
    why = "it holds one number per channel"
    coefficient = arguments.same_shape(coefficient, maps.shape[1:2], where, "coefficient", why)
    return maps.astype(np.float64), coefficient.astype(np.float64), window, single
