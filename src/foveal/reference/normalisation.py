"""Normalisation: over neighbouring channels at one place (LRN), and over a batch in one channel (batch norm)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import ParameterError, ShapeError, explain
from foveal.geometry import integer
from foveal.reference import arguments
from foveal.reference.convolution import per_channel

F64 = NDArray[np.float64]


def local_response_norm(x: ArrayLike, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> F64:
    """Divide by the size of neighbouring channels: ``y[n,c] = x[n,c] / (k + alpha * sum_j x[n,j]^2)^beta``.

    The sum is over the `size` channels from ``c - floor((size-1)/2)`` to ``c + ceil((size-1)/2)``, as far as there are
    such channels; each place of the map is on its own.

    alpha is that of the paper, which is not divided by `size`. PyTorch's ``local_response_norm`` and ONNX's ``LRN``
    divide theirs: ``alpha_torch = alpha * size``. For an even `size` the sum has one channel more behind c than before
    it, as in ONNX; PyTorch has one more before.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial)
        A batch of feature maps: signals (L), images (H, W) or volumes (D, H, W).
    size : int
        Number of channels in the sum.
    alpha, beta, k : float
        alpha is at least 0 and k more than 0, so that nothing is divided by 0. Defaults are AlexNet's.

    Returns
    -------
    y : ndarray of the shape of x, float64

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        `x` is not a batch of maps; an impossible value.

    Source
    ------
    Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012,
    section 3.3.

    Examples
    --------
    >>> local_response_norm([[[1.0], [2.0], [3.0]]], size=3, alpha=1.0, beta=1.0, k=1.0)[0, :, 0] * [6, 15, 14]
    array([1., 2., 3.])
    """
    x, before, after = _checked_lrn(x, size, alpha, beta, k, "local_response_norm")
    y: F64 = x / (k + alpha * _neighbours(x**2, before, after)) ** beta
    return y


def local_response_norm_grad(
    x: ArrayLike, dy: ArrayLike, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> F64:
    """Return dx of `local_response_norm`.

    ``dx[c] = dy[c] * s[c]^-beta - 2 * alpha * beta * x[c] * sum_i dy[i] * x[i] * s[i]^-(beta + 1)``, where s is the
    ``k + alpha * sum_j x[j]^2`` of the forward formula, and i goes over the channels whose sum holds c.

    Parameters
    ----------
    x, size, alpha, beta, k
        As in `local_response_norm`.
    dy : ndarray of the shape of x
        Gradient of y.

    Returns
    -------
    dx : ndarray of the shape of x, float64

    Raises
    ------
    ShapeError, GeometryError, ParameterError
        As `local_response_norm`, and when dy has not the shape of x.

    Examples
    --------
    >>> local_response_norm_grad([[[2.0]]], [[[25.0]]], size=1, alpha=1.0, beta=1.0, k=1.0)  # (1 - x^2) / (1 + x^2)^2
    array([[[-3.]]])
    """
    x, before, after = _checked_lrn(x, size, alpha, beta, k, "local_response_norm_grad")
    dy = arguments.gradient(dy, x.shape, "local_response_norm_grad").astype(np.float64)
    s = k + alpha * _neighbours(x**2, before, after)
    dx: F64 = dy * s**-beta - 2 * alpha * beta * x * _neighbours(dy * x * s ** -(beta + 1), after, before)
    return dx


def batch_norm(
    x: ArrayLike,
    scale: ArrayLike,
    shift: ArrayLike,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    *,
    epsilon: float = 1e-5,
) -> F64:
    """Return ``y[n,c,h,w] = scale[c] * (x[n,c,h,w] - mean[c]) / sqrt(variance[c] + epsilon) + shift[c]``.

    While a network learns, mean and variance are those of the batch (`batch_statistics`), which is what happens where
    they are not given. Afterwards they are averages of those that were seen.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial) or (N, C)
        Feature maps, or examples of C features.
    scale, shift : ndarrays of shape (C,)
        Learned; the paper's gamma and beta.
    mean, variance : ndarrays of shape (C,), optional
        Both, or neither for the batch's own.
    epsilon : float
        Keeps the root from 0. More than 0, or 0 where no variance is 0.

    Returns
    -------
    y : ndarray of the shape of x, float64

    Raises
    ------
    ShapeError, ParameterError
        Shapes do not match; only one of mean and variance; a negative variance; the batch is empty.

    Source
    ------
    Ioffe and Szegedy, Batch normalization, arXiv 1502.03167, algorithms 1 and 2.

    Examples
    --------
    >>> batch_norm([[1.0], [3.0]], [10.0], [5.0], epsilon=0.0)
    array([[-5.],
           [15.]])
    """
    x, (scale, shift) = _checked_channels(x, {"scale": scale, "shift": shift}, "batch_norm")
    centred, deviation = _standardised(x, mean, variance, epsilon, "batch_norm")
    y: F64 = per_channel(scale, x.ndim) * centred / deviation + per_channel(shift, x.ndim)
    return y


def batch_norm_grad(
    x: ArrayLike,
    scale: ArrayLike,
    dy: ArrayLike,
    mean: ArrayLike | None = None,
    variance: ArrayLike | None = None,
    *,
    epsilon: float = 1e-5,
) -> tuple[F64, F64, F64]:
    """Return the gradients (dx, dscale, dshift) of `batch_norm`, with ``z = (x - mean) / sqrt(variance + epsilon)``.

    ``dshift = sum dy``, ``dscale = sum dy z``, and ``dx = scale / sqrt(variance + epsilon) * (dy - mean(dy) - z mean(dy
    z))``, sums and means taken over all but the channels. Where mean and variance are given they do not depend on x,
    and the two means are left out.

    Parameters
    ----------
    x, scale, mean, variance, epsilon
        As in `batch_norm`.
    dy : ndarray of the shape of x
        Gradient of y.

    Returns
    -------
    dx, dscale, dshift : ndarrays of the shapes of x, (C,) and (C,), float64

    Raises
    ------
    ShapeError, ParameterError
        As `batch_norm`, and when dy has not the shape of x.

    Examples
    --------
    >>> batch_norm_grad([[1.0], [3.0]], [10.0], [[1.0], [2.0]], [0.0], [4.0], epsilon=0.0)
    (array([[ 5.],
           [10.]]), array([3.5]), array([3.]))
    """
    x, (scale,) = _checked_channels(x, {"scale": scale}, "batch_norm_grad")
    dy = arguments.gradient(dy, x.shape, "batch_norm_grad").astype(np.float64)
    centred, deviation = _standardised(x, mean, variance, epsilon, "batch_norm_grad")
    z, others = centred / deviation, (0, *range(2, x.ndim))
    through = dy
    if mean is None:
        through = dy - dy.mean(axis=others, keepdims=True) - z * (dy * z).mean(axis=others, keepdims=True)
    dx: F64 = per_channel(scale, x.ndim) / deviation * through
    return dx, (dy * z).sum(axis=others), dy.sum(axis=others)


def batch_statistics(x: ArrayLike) -> tuple[F64, F64]:
    """Return mean and variance of each channel: ``mean((x - mean(x))^2)`` over all but the channels, not corrected.

    Parameters
    ----------
    x : ndarray of shape (N, C, *spatial) or (N, C)
        Feature maps, or examples of C features.

    Returns
    -------
    mean, variance : ndarrays of shape (C,), float64

    Raises
    ------
    ShapeError
        `x` has no channels, or is empty.

    Examples
    --------
    >>> batch_statistics([[1.0, 5.0], [3.0, 5.0]])
    (array([2., 5.]), array([1., 0.]))
    """
    return _statistics(arguments.channels(x, "batch_statistics").astype(np.float64), "batch_statistics")


def fold_batch_norm(
    w: ArrayLike,
    bias: ArrayLike | None,
    scale: ArrayLike,
    shift: ArrayLike,
    mean: ArrayLike,
    variance: ArrayLike,
    *,
    epsilon: float = 1e-5,
) -> tuple[F64, F64]:
    """Return filters and bias of the one convolution that does what a convolution and `batch_norm` after it do.

    ``a = scale / sqrt(variance + epsilon)``, ``w'[k] = a[k] * w[k]``, ``bias'[k] = a[k] * (bias[k] - mean[k]) +
    shift[k]``. For networks that have learned: mean and variance no longer depend on the batch.

    Parameters
    ----------
    w : ndarray of shape (K, C/groups, *kernel)
        Filters of the convolution.
    bias : ndarray of shape (K,) or None
        Its bias; None is 0.
    scale, shift, mean, variance : ndarrays of shape (K,)
        Of the batch norm.
    epsilon : float
        As in `batch_norm`.

    Returns
    -------
    w, bias : ndarrays of the shapes of w and (K,), float64

    Raises
    ------
    ShapeError, ParameterError
        Shapes do not match; a negative variance.

    Examples
    --------
    >>> fold_batch_norm([[[1.0, 2.0]]], None, [6.0], [5.0], [1.0], [9.0], epsilon=0.0)
    (array([[[2., 4.]]]), array([3.]))
    """
    where, w = "fold_batch_norm", arguments.filters(w, "fold_batch_norm").astype(np.float64)
    filters, why = len(w), "it holds one number per filter"
    given = {"bias": np.zeros(filters) if bias is None else bias, "scale": scale, "shift": shift, "mean": mean}
    b, g, d, m = (arguments.same_shape(v, (filters,), where, k, why).astype(np.float64) for k, v in given.items())
    a = g / _deviation(variance, filters, epsilon, where)
    return w * a.reshape(-1, *(1,) * (w.ndim - 1)), a * (b - m) + d


def _neighbours(x: F64, before: int, after: int) -> F64:
    """Return the sum over each channel, `before` channels before it and `after` behind it."""
    padded = np.pad(x, ((0, 0), (before, after), *((0, 0),) * (x.ndim - 2)))
    total = np.zeros_like(x)
    for start in range(before + after + 1):
        total += padded[:, start : start + x.shape[1]]
    return total


def check_response(size: int, alpha: float, beta: float, k: float, where: str) -> tuple[int, float, float, float]:
    """Return the numbers of `local_response_norm` if they are possible.

    Raises
    ------
    GeometryError, DTypeError, ParameterError

    Examples
    --------
    >>> check_response(5, 1e-4, 0.75, 2, "local_response_norm")
    (5, 0.0001, 0.75, 2.0)
    """
    numbers = [arguments.number(v, where, name) for name, v in (("alpha", alpha), ("beta", beta), ("k", k))]
    if numbers[0] < 0 or numbers[2] <= 0:
        why = "k + alpha * sum x^2 must not be 0 or less"
        expected = "alpha of at least 0 and k of more than 0"
        raise ParameterError(explain(where, expected=expected, got=f"alpha={alpha}, k={k}", why=why))
    return integer(size, "size"), numbers[0], numbers[1], numbers[2]


def _checked_lrn(x: ArrayLike, size: int, alpha: float, beta: float, k: float, where: str) -> tuple[F64, int, int]:
    """Return the maps, and how many channels before and behind each one its sum holds."""
    x = arguments.maps(x, where).astype(np.float64)
    size, others = check_response(size, alpha, beta, k, where)[0], x.shape[1] - 1
    return x, min((size - 1) // 2, others), min(size // 2, others)


def _checked_channels(x: ArrayLike, given: dict[str, ArrayLike], where: str) -> tuple[F64, list[F64]]:
    maps, why = arguments.channels(x, where).astype(np.float64), "it holds one number per channel"
    arrays = [arguments.same_shape(v, maps.shape[1:2], where, name, why) for name, v in given.items()]
    return maps, [array.astype(np.float64) for array in arrays]


def _statistics(x: F64, where: str) -> tuple[F64, F64]:
    if len(x) == 0:
        raise ShapeError(explain(where, expected="at least one example", got=str(x.shape)))
    others = (0, *range(2, x.ndim))
    return x.mean(axis=others), x.var(axis=others)


def _standardised(
    x: F64, mean: ArrayLike | None, variance: ArrayLike | None, epsilon: float, where: str
) -> tuple[F64, F64]:
    """Return ``x - mean`` and ``sqrt(variance + epsilon)``, both in a shape that broadcasts over x."""
    if (mean is None) != (variance is None):
        got = "only one of them"
        raise ParameterError(explain(where, expected="mean and variance, or neither for the batch's own", got=got))
    if mean is None or variance is None:
        mean, variance = _statistics(x, where)
    mean = arguments.same_shape(mean, x.shape[1:2], where, "mean", "it holds one number per channel")
    deviation = _deviation(variance, x.shape[1], epsilon, where)
    return x - per_channel(mean, x.ndim), per_channel(deviation, x.ndim)


def _deviation(variance: ArrayLike, channels: int, epsilon: float, where: str) -> F64:
    why = "it holds one number per channel"
    variance = arguments.same_shape(variance, (channels,), where, "variance", why).astype(np.float64)
    arguments.number(epsilon, where, "epsilon")
    if epsilon < 0 or (variance < 0).any() or (variance + epsilon == 0).any():
        got = f"variances from {variance.min():g} and epsilon {epsilon:g}"
        raise ParameterError(explain(where, expected="variance + epsilon of more than 0, neither negative", got=got))
    if np.isinf(variance).any():
        why = "every number of the channel would become its shift"
        raise ParameterError(explain(where, expected="finite variances", got="inf", why=why))
    deviation: F64 = np.sqrt(variance + epsilon)
    return deviation
