"""Activations with their gradients, all written in terms of y, so that x need not be kept."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import ParameterError, explain
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


def leaky_relu(x: ArrayLike, slope: float = 0.01) -> F64:
    """Return ``y = x`` where x > 0, else ``slope * x``.

    Parameters
    ----------
    x : ndarray of any shape
        Scores, or a feature map.
    slope : float
        At least 0, so that y says on which side x was; 0 is `relu`.

    Returns
    -------
    y : ndarray of the shape of x, float64

    Raises
    ------
    DTypeError, ParameterError
        `x` does not hold real numbers; an impossible slope.

    Source
    ------
    Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, ICML 2013.

    Examples
    --------
    >>> leaky_relu([-1.0, 0.0, 2.0], 0.1)
    array([-0.1,  0. ,  2. ])
    """
    x, slope = arguments.real(x, "leaky_relu").astype(np.float64), check_slope(slope, "leaky_relu")
    return np.where(x > 0, x, slope * x)


def leaky_relu_grad(y: ArrayLike, dy: ArrayLike, slope: float = 0.01) -> F64:
    """Return dx of `leaky_relu`: ``dx = dy`` where y > 0, else ``slope * dy``, at the kink as well.

    Parameters
    ----------
    y, dy : ndarrays of one shape
        The result of `leaky_relu`, and its gradient.
    slope : float
        As in `leaky_relu`.

    Returns
    -------
    dx : ndarray of the same shape, float64

    Raises
    ------
    ShapeError, ParameterError
        `dy` has another shape than `y`; an impossible slope.

    Examples
    --------
    >>> leaky_relu_grad([-0.1, 0.0, 2.0], [5.0, 5.0, 7.0], 0.1)
    array([0.5, 0.5, 7. ])
    """
    y, slope = arguments.real(y, "leaky_relu_grad", "y"), check_slope(slope, "leaky_relu_grad")
    dy = arguments.same_shape(dy, y.shape, "leaky_relu_grad").astype(np.float64)
    return np.where(y > 0, dy, slope * dy)


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


def tanh(x: ArrayLike) -> F64:
    """Return ``y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))``, the hyperbolic tangent.

    Parameters
    ----------
    x : ndarray of any shape
        Scores, or a feature map.

    Returns
    -------
    y : ndarray of the shape of x, float64, in [-1, 1]

    Raises
    ------
    DTypeError
        `x` does not hold real numbers.

    Examples
    --------
    >>> tanh([-1000.0, 0.0, 1000.0])
    array([-1.,  0.,  1.])
    """
    y: F64 = np.tanh(arguments.real(x, "tanh").astype(np.float64))
    return y


def tanh_grad(y: ArrayLike, dy: ArrayLike) -> F64:
    """Return dx of `tanh`: ``dx = dy * (1 - y^2)``.

    Parameters
    ----------
    y, dy : ndarrays of one shape
        The result of `tanh`, and its gradient.

    Returns
    -------
    dx : ndarray of the same shape, float64

    Raises
    ------
    ShapeError
        `dy` has another shape than `y`.

    Examples
    --------
    >>> tanh_grad([0.5], [8.0])
    array([6.])
    """
    y = arguments.real(y, "tanh_grad", "y").astype(np.float64)
    dx: F64 = arguments.same_shape(dy, y.shape, "tanh_grad") * (1.0 - y**2)
    return dx


AMPLITUDE, STEEPNESS = 1.7159, 2 / 3


def scaled_tanh(x: ArrayLike) -> F64:
    """Return ``y = 1.7159 * tanh(2/3 * x)``, LeNet's activation: about 1 at 1 and -1 at -1, where it bends most.

    Parameters
    ----------
    x : ndarray of any shape
        Scores, or a feature map.

    Returns
    -------
    y : ndarray of the shape of x, float64, in [-1.7159, 1.7159]

    Raises
    ------
    DTypeError
        `x` does not hold real numbers.

    Source
    ------
    LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, appendix A.

    Examples
    --------
    >>> scaled_tanh([-1.0, 0.0, 1.0]).round(4)
    array([-1.,  0.,  1.])
    """
    y: F64 = AMPLITUDE * np.tanh(STEEPNESS * arguments.real(x, "scaled_tanh").astype(np.float64))
    return y


def scaled_tanh_grad(y: ArrayLike, dy: ArrayLike) -> F64:
    """Return dx of `scaled_tanh`: ``dx = dy * 1.7159 * 2/3 * (1 - (y / 1.7159)^2)``.

    Parameters
    ----------
    y, dy : ndarrays of one shape
        The result of `scaled_tanh`, and its gradient.

    Returns
    -------
    dx : ndarray of the same shape, float64

    Raises
    ------
    ShapeError
        `dy` has another shape than `y`.

    Examples
    --------
    >>> scaled_tanh_grad([0.0, 1.7159], [1.5, 1.5])
    array([1.7159, 0.    ])
    """
    y = arguments.real(y, "scaled_tanh_grad", "y").astype(np.float64)
    slope = AMPLITUDE * STEEPNESS * (1.0 - (y / AMPLITUDE) ** 2)
    dx: F64 = arguments.same_shape(dy, y.shape, "scaled_tanh_grad") * slope
    return dx


def check_slope(slope: float, where: str) -> float:
    """Return `slope` if it is a finite number of at least 0.

    Raises
    ------
    DTypeError, ParameterError

    Examples
    --------
    >>> check_slope(0.1, "leaky_relu")
    0.1
    """
    number = arguments.number(slope, where, "slope")
    if number < 0:
        raise ParameterError(explain(where, expected="a slope of at least 0", got=str(slope)))
    return number
