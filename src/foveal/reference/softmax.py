"""Softmax and its logarithm: scores become probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import ShapeError, explain
from foveal.reference import arguments

F64 = NDArray[np.float64]


def softmax(scores: ArrayLike, *, axis: int = -1) -> F64:
    """Return probabilities: ``y[n,k] = exp(scores[n,k]) / sum_j exp(scores[n,j])``.

    The largest score of each row is subtracted first, which changes nothing but keeps exp from overflowing.

    Parameters
    ----------
    scores : ndarray of shape (N, classes), or any other with at least one axis
        Any real numbers.
    axis : int
        The axis along which the probabilities sum to 1.

    Returns
    -------
    y : ndarray of the shape of scores, float64

    Raises
    ------
    ShapeError
        `scores` has no such axis, or no classes on it.

    Examples
    --------
    >>> softmax([[1000.0, 1000.0]])
    array([[0.5, 0.5]])
    """
    scores = _checked(scores, axis, "softmax", "scores")
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    y: F64 = powers / powers.sum(axis=axis, keepdims=True)
    return y


def softmax_grad(y: ArrayLike, dy: ArrayLike, *, axis: int = -1) -> F64:
    """Return d scores of `softmax`: ``dscores = y * (dy - sum_k dy[n,k] * y[n,k])``.

    ``dy_k/dscores_j = y_k (1[j=k] - y_j)``: the sum over k leaves what each dy differs from their mean under y.

    Parameters
    ----------
    y, dy : ndarrays of one shape
        The result of `softmax`, and its gradient.
    axis : int
        As in `softmax`.

    Returns
    -------
    dscores : ndarray of the same shape, float64

    Raises
    ------
    ShapeError
        `dy` has another shape than `y`, or `y` no such axis.

    Examples
    --------
    >>> softmax_grad([[0.25, 0.75]], [[4.0, 0.0]])
    array([[ 0.75, -0.75]])
    """
    y = _checked(y, axis, "softmax_grad", "y")
    dy = arguments.same_shape(dy, y.shape, "softmax_grad").astype(np.float64)
    dscores: F64 = y * (dy - (dy * y).sum(axis=axis, keepdims=True))
    return dscores


def log_softmax(scores: ArrayLike, *, axis: int = -1) -> F64:
    """Return the logarithm of `softmax`: ``y[n,k] = scores[n,k] - log sum_j exp(scores[n,j])``.

    Taken at once, so that no probability becomes 0 before its logarithm is taken.

    Parameters
    ----------
    scores, axis
        As in `softmax`.

    Returns
    -------
    y : ndarray of the shape of scores, float64

    Raises
    ------
    ShapeError
        As `softmax`.

    Examples
    --------
    >>> log_softmax([[0.0, 1000.0]])
    array([[-1000.,     0.]])
    """
    scores = _checked(scores, axis, "log_softmax", "scores")
    shifted = scores - scores.max(axis=axis, keepdims=True)
    y: F64 = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return y


def log_softmax_grad(y: ArrayLike, dy: ArrayLike, *, axis: int = -1) -> F64:
    """Return d scores of `log_softmax`: ``dscores = dy - exp(y) * sum_k dy[n,k]``.

    Parameters
    ----------
    y, dy : ndarrays of one shape
        The result of `log_softmax`, and its gradient.
    axis : int
        As in `softmax`.

    Returns
    -------
    dscores : ndarray of the same shape, float64

    Raises
    ------
    ShapeError
        `dy` has another shape than `y`, or `y` no such axis.

    Examples
    --------
    >>> log_softmax_grad(np.log([[0.25, 0.75]]), [[4.0, 0.0]])
    array([[ 3., -3.]])
    """
    y = _checked(y, axis, "log_softmax_grad", "y")
    dy = arguments.same_shape(dy, y.shape, "log_softmax_grad").astype(np.float64)
    dscores: F64 = dy - np.exp(y) * dy.sum(axis=axis, keepdims=True)
    return dscores


def _checked(scores: ArrayLike, axis: Any, where: str, name: str) -> F64:
    array = arguments.real(scores, where, name)
    if array.ndim == 0 or array.shape[arguments.axis(axis, array.ndim, where)] == 0:
        expected = f"{name} of shape (N, classes) with at least one class"
        raise ShapeError(explain(where, expected=expected, got=str(array.shape)))
    return array.astype(np.float64)
