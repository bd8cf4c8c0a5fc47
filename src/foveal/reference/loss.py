"""Losses: softmax with cross-entropy, one object because their gradients cancel to ``softmax - t``; sum of squares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import DataError, DTypeError, ParameterError, ShapeError, explain
from foveal.reference import arguments
from foveal.reference.softmax import log_softmax, softmax

F64 = NDArray[np.float64]


def cross_entropy(scores: ArrayLike, t: ArrayLike, *, label_smoothing: float = 0.0) -> float:
    """Return the mean softmax cross-entropy: ``-1/N sum_n sum_k t[n,k] * log softmax(scores)[n,k]``, t one-hot.

    The logarithm is taken of the softmax at once (`log_softmax`), so no probability becomes 0 first.

    Parameters
    ----------
    scores : ndarray of shape (N, classes)
        Before softmax.
    t : ndarray of shape (N,) or (N, classes)
        Class indices; or one-hot rows, or soft labels that sum to 1.
    label_smoothing : float
        Share of each label that is spread evenly over all classes: ``(1 - label_smoothing) * t + label_smoothing /
        classes`` takes the place of t. At least 0, at most 1.

    Returns
    -------
    loss : float

    Raises
    ------
    ShapeError, DTypeError, DataError, ParameterError
        Shapes do not match; indices are not integers; labels out of range; an impossible share.

    Source
    ------
    Label smoothing: Szegedy et al., Rethinking the Inception architecture, arXiv 1512.00567, section 7.

    Examples
    --------
    >>> round(cross_entropy([[0.0, 0.0]], [1]), 6)  # log 2
    0.693147
    """
    scores, target = _checked(scores, t, label_smoothing, "cross_entropy")
    logs = np.where(target > 0, log_softmax(scores), 0.0)  # what a label does not ask for may be log 0
    return float(-(target * logs).sum(axis=1).mean())


def cross_entropy_grad(scores: ArrayLike, t: ArrayLike, *, label_smoothing: float = 0.0) -> F64:
    """Return d scores of `cross_entropy`: ``(softmax(scores) - t) / N`` with t one-hot, and smoothed.

    Parameters
    ----------
    scores, t, label_smoothing
        As in `cross_entropy`.

    Returns
    -------
    dscores : ndarray of shape (N, classes), float64

    Raises
    ------
    ShapeError, DTypeError, DataError, ParameterError
        As `cross_entropy`.

    Examples
    --------
    >>> cross_entropy_grad([[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    """
    scores, target = _checked(scores, t, label_smoothing, "cross_entropy_grad")
    dscores: F64 = (softmax(scores) - target) / len(scores)
    return dscores


def sum_of_squares(y: ArrayLike, t: ArrayLike) -> float:
    """Return half the sum of squared errors, averaged over the examples: ``1/N sum_n 1/2 sum_k (y[n,k] - t[n,k])^2``.

    For one example this is the notes' ``0.5 * sum((y - t)**2)``. It is a sum over k, not a mean: PyTorch's ``mse_loss``
    is ``2 / K`` times this for K numbers per example.

    Parameters
    ----------
    y : ndarray of shape (N, ...)
        What the network says.
    t : ndarray of the shape of y
        What is right: numbers, or one-hot rows.

    Returns
    -------
    loss : float

    Raises
    ------
    ShapeError
        `t` has another shape than `y`, or there are no examples.

    Examples
    --------
    >>> sum_of_squares([[1.0, 2.0], [3.0, 3.0]], [[0.0, 0.0], [3.0, 1.0]])  # (5/2 + 4/2) / 2
    2.25
    """
    error = _errors(y, t, "sum_of_squares")
    return float(0.5 * (error**2).sum() / len(error))


def sum_of_squares_grad(y: ArrayLike, t: ArrayLike) -> F64:
    """Return dy of `sum_of_squares`: ``(y - t) / N``.

    Parameters
    ----------
    y, t
        As in `sum_of_squares`.

    Returns
    -------
    dy : ndarray of the shape of y, float64

    Raises
    ------
    ShapeError
        As `sum_of_squares`.

    Examples
    --------
    >>> sum_of_squares_grad([[1.0, 2.0], [3.0, 3.0]], [[0.0, 0.0], [3.0, 1.0]])
    array([[0.5, 1. ],
           [0. , 1. ]])
    """
    error = _errors(y, t, "sum_of_squares_grad")
    return error / len(error)


def targets(where: str, scores: NDArray[Any], t: ArrayLike) -> NDArray[np.int64] | NDArray[Any]:
    """Return labels for `scores` of shape (N, classes): indices of shape (N,), or one-hot rows as they came.

    Rows may also be soft labels: non-negative numbers that sum to 1.

    Raises
    ------
    ShapeError, DTypeError, DataError
        Wrong shape; indices that are not integers; labels out of range, or rows that do not sum to 1.

    Examples
    --------
    >>> targets("cross_entropy", np.zeros((2, 3)), [0, 2])
    array([0, 2])
    """
    if scores.ndim != 2 or 0 in scores.shape:
        expected = "scores of shape (N, classes) with at least one row"
        raise ShapeError(explain(where, expected=expected, got=str(scores.shape)))
    n, classes = scores.shape
    labels = arguments.real(t, where, "t")
    if labels.shape == (n, classes):
        if not (np.all(labels >= 0) and np.allclose(labels.sum(axis=1), 1, atol=1e-5)):
            got = f"rows that sum to {labels.sum(axis=1).min():g} .. {labels.sum(axis=1).max():g}"
            raise DataError(explain(where, expected="one-hot rows: non-negative, sum 1", got=got))
        return labels
    if labels.shape != (n,):
        expected = f"t of shape ({n},) with class indices, or ({n}, {classes}) one-hot"
        fix = "Flatten it with t.ravel()." if labels.size == n else ""
        raise ShapeError(explain(where, expected=expected, got=str(labels.shape), fix=fix))
    if labels.dtype.kind not in "iu":
        fix = "Convert it first: t.astype('int64')."
        raise DTypeError(explain(where, expected="integer class indices t", got=f"dtype {labels.dtype}", fix=fix))
    if labels.min() < 0 or labels.max() >= classes:
        expected = f"class indices from 0 to {classes - 1}"
        fix = "Number the classes from 0, or give the last layer more units."
        raise DataError(explain(where, expected=expected, got=f"{labels.min()} .. {labels.max()}", fix=fix))
    return labels.astype(np.int64)


def _checked(scores: ArrayLike, t: ArrayLike, label_smoothing: float, where: str) -> tuple[F64, F64]:
    """Return scores and one-hot labels, smoothed."""
    scores = arguments.real(scores, where, "scores").astype(np.float64)
    labels, smoothing = targets(where, scores, t), arguments.number(label_smoothing, where, "label_smoothing")
    if not 0 <= smoothing <= 1:
        raise ParameterError(explain(where, expected="label_smoothing from 0 to 1", got=str(label_smoothing)))
    classes = scores.shape[1]
    one_hot = np.eye(classes)[labels] if labels.ndim == 1 else labels.astype(np.float64)
    return scores, (1 - smoothing) * one_hot + smoothing / classes


def _errors(y: ArrayLike, t: ArrayLike, where: str) -> F64:
    y = arguments.real(y, where, "y").astype(np.float64)
    if y.ndim == 0 or len(y) == 0:
        raise ShapeError(explain(where, expected="y of shape (N, ...) with at least one example", got=str(y.shape)))
    error: F64 = y - arguments.same_shape(t, y.shape, where, "t", "there is one target for each number of y")
    return error
