"""ReLU and sigmoid with their gradients, both written in terms of y, so that x need not be kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.reference import arguments

F64 = NDArray[np.float64]


def relu(x: ArrayLike) -> F64:
    """Return ``y = max(x, 0)``.

    Parameters
    ----------
    x : ndarray of any shape
        Scores, or a feature map.

    Returns
    -------
    y : ndarray of the shape of x, float64

    Raises
    ------
    DTypeError
        `x` does not hold real numbers.

    Source
    ------
    Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, ICML 2010.

    Examples
    --------
    >>> relu([-1.0, 0.0, 2.0])
    array([0., 0., 2.])
    """
    y: F64 = np.maximum(arguments.real(x, "relu").astype(np.float64), 0.0)
    return y


def relu_grad(y: ArrayLike, dy: ArrayLike) -> F64:
    """Return dx of `relu`: ``dx = dy`` where y > 0, else 0. At the kink x = 0 the gradient is 0.

    Parameters
    ----------
    y, dy : ndarrays of one shape
        The result of `relu`, and its gradient.

    Returns
    -------
    dx : ndarray of the same shape, float64

    Raises
    ------
    ShapeError
        `dy` has another shape than `y`.

    Examples
    --------
    >>> relu_grad([0.0, 2.0], [5.0, 7.0])
    array([0., 7.])
    """
    y = arguments.real(y, "relu_grad", "y")
    return np.where(y > 0, arguments.same_shape(dy, y.shape, "relu_grad"), 0.0).astype(np.float64)


def sigmoid(x: ArrayLike) -> F64:
    """Return ``y = 1 / (1 + exp(-x))``, without overflow for any x.

    Parameters
    ----------
    x : ndarray of any shape
        Scores, or a feature map.

    Returns
    -------
    y : ndarray of the shape of x, float64, in [0, 1]

    Raises
    ------
    DTypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> sigmoid([-1000.0, 0.0, 1000.0])
    array([0. , 0.5, 1. ])
    """
    x = arguments.real(x, "sigmoid").astype(np.float64)
    small = np.exp(-np.abs(x))  # in (0, 1] whatever the sign of x
    y: F64 = np.where(x >= 0, 1.0, small) / (1.0 + small)
    return y


def sigmoid_grad(y: ArrayLike, dy: ArrayLike) -> F64:
    """Return dx of `sigmoid`: ``dx = dy * y * (1 - y)``.

    Parameters
    ----------
    y, dy : ndarrays of one shape
        The result of `sigmoid`, and its gradient.

    Returns
    -------
    dx : ndarray of the same shape, float64

    Raises
    ------
    ShapeError
        `dy` has another shape than `y`.

    Examples
    --------
    >>> sigmoid_grad([0.5], [8.0])
    array([2.])
    """
    y = arguments.real(y, "sigmoid_grad", "y").astype(np.float64)
    dx: F64 = arguments.same_shape(dy, y.shape, "sigmoid_grad") * y * (1.0 - y)
    return dx
