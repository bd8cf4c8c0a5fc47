"""Softmax with cross-entropy: one object, because their gradients cancel to ``softmax - t``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import ShapeError, explain
from foveal.reference import arguments

F64 = NDArray[np.float64]


def softmax(scores: ArrayLike) -> F64:
    """Return probabilities: ``y[n,k] = exp(scores[n,k]) / sum_j exp(scores[n,j])``.

    The largest score of each row is subtracted first, which changes nothing but keeps exp from overflowing.

    Parameters
    ----------
    scores : ndarray of shape (N, classes) or (classes,)
        Any real numbers.

    Returns
    -------
    y : ndarray of the shape of scores, float64; rows sum to 1

    Raises
    ------
    ShapeError
        `scores` has another number of axes, or no classes.

    Examples
    --------
    >>> softmax([[1000.0, 1000.0]])
    array([[0.5, 0.5]])
    """
    scores = arguments.real(scores, "softmax", "scores").astype(np.float64)
    if scores.ndim not in (1, 2) or scores.shape[-1] == 0:
        raise ShapeError(explain("softmax", expected="scores of shape (N, classes)", got=str(scores.shape)))
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    y: F64 = powers / powers.sum(axis=-1, keepdims=True)
    return y


def cross_entropy(scores: ArrayLike, t: ArrayLike) -> float:
    """Return the mean softmax cross-entropy: ``-1/N sum_n log softmax(scores)[n, t[n]]``.

    The logarithm is taken of the softmax at once, ``scores - log sum exp(scores)``, so no probability becomes 0 first.

    Parameters
    ----------
    scores : ndarray of shape (N, classes)
        Before softmax.
    t : ndarray of shape (N,) or (N, classes)
        Class indices; or one-hot rows, or soft labels that sum to 1.

    Returns
    -------
    loss : float

    Raises
    ------
    ShapeError, DTypeError, DataError
        Shapes do not match; indices are not integers; labels out of range.

    Examples
    --------
    >>> round(cross_entropy([[0.0, 0.0]], [1]), 6)  # log 2
    0.693147
    """
    scores = arguments.real(scores, "cross_entropy", "scores").astype(np.float64)
    t = arguments.targets("cross_entropy", scores, t)
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    picked = logs[np.arange(len(t)), t] if t.ndim == 1 else (t * logs).sum(axis=1)
    return float(-picked.mean())


def cross_entropy_grad(scores: ArrayLike, t: ArrayLike) -> F64:
    """Return d scores of `cross_entropy`: ``(softmax(scores) - one_hot(t)) / N``.

    Parameters
    ----------
    scores, t
        As in `cross_entropy`.

    Returns
    -------
    dscores : ndarray of shape (N, classes), float64

    Raises
    ------
    ShapeError, DTypeError, DataError
        As `cross_entropy`.

    Examples
    --------
    >>> cross_entropy_grad([[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    """
    scores = arguments.real(scores, "cross_entropy_grad", "scores").astype(np.float64)
    t = arguments.targets("cross_entropy_grad", scores, t)
    target = np.eye(scores.shape[1])[t] if t.ndim == 1 else t
    dscores: F64 = (softmax(scores) - target) / len(scores)
    return dscores
