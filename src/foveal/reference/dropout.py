"""Dropout: numbers are set to 0 at random while a network learns. Which ones depends on a seed and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import ParameterError, explain
from foveal.geometry import check_volume, integer, volume
from foveal.reference import arguments, random

F64 = NDArray[np.float64]


def dropout(x: ArrayLike, rate: float = 0.5, *, seed: int = 0) -> F64:
    """Return ``y = x / (1 - rate)`` where `dropout_mask` keeps, else 0.

    Kept numbers are divided by the share that is kept, so that the mean stays and nothing needs to be done when the
    network has learned ("inverted dropout").

    Parameters
    ----------
    x : ndarray of any shape
        Features.
    rate : float
        Share of the numbers that become 0: at least 0, less than 1.
    seed : int
        0 to 2^64 - 1. The same seed gives the same mask, whatever computes it.

    Returns
    -------
    y : ndarray of the shape of x, float64

    Raises
    ------
    ParameterError, DTypeError
        An impossible rate or seed; `x` does not hold real numbers.

    Source
    ------
    Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting, JMLR 2014.

    Examples
    --------
    >>> dropout(np.ones((2, 4)), 0.5, seed=3)
    array([[2., 0., 0., 0.],
           [0., 2., 0., 2.]])
    """
    x = arguments.real(x, "dropout").astype(np.float64)
    return np.where(dropout_mask(x.shape, rate, seed=seed), x / (1 - rate), 0.0)


def dropout_grad(dy: ArrayLike, rate: float = 0.5, *, seed: int = 0) -> F64:
    """Return dx of `dropout` with the same rate and seed: ``dx = dy / (1 - rate)`` where the mask keeps, else 0.

    Parameters
    ----------
    dy : ndarray of the shape of y
        Gradient of y.
    rate, seed
        As in `dropout`.

    Returns
    -------
    dx : ndarray of the shape of dy, float64

    Raises
    ------
    ParameterError, DTypeError
        As `dropout`.

    Examples
    --------
    >>> dropout_grad([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], 0.5, seed=3)
    array([[ 2.,  0.,  0.,  0.],
           [ 0., 12.,  0., 16.]])
    """
    return dropout(arguments.real(dy, "dropout_grad", "dy"), rate, seed=seed)


def dropout_mask(shape: Sequence[int], rate: float, *, seed: int) -> NDArray[np.bool_]:
    """Return which numbers of an array dropout keeps: ``keep[i] = hash32(i, seed) >= rate * 2^32``.

    i is the flat index in C order, in (N, C, H, W) order for maps.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    rate, seed
        As in `dropout`.

    Returns
    -------
    keep : ndarray of shape `shape`, bool

    Raises
    ------
    ParameterError, DTypeError, GeometryError
        An impossible rate, seed or shape.

    Source
    ------
    `foveal.reference.random.hash32`.

    Examples
    --------
    >>> dropout_mask((2, 4), 0.5, seed=3)
    array([[ True, False, False, False],
           [False,  True, False,  True]])
    """
    check_rate(rate, "dropout")
    sizes = tuple(integer(n, "shape", least=0) for n in shape)
    check_volume(sizes, "dropout", "a mask")
    index = np.arange(volume(sizes), dtype=np.uint64).reshape(sizes)
    return random.hash32(index, random.check_seed(seed, "dropout")) >= random.threshold(rate)


def check_rate(rate: Any, where: str) -> float:
    """Return `rate` if it is a number from 0 to less than 1.

    Raises
    ------
    ParameterError

    Examples
    --------
    >>> check_rate(0.5, "dropout")
    0.5
    """
    number = arguments.number(rate, where, "rate")
    if not 0 <= number < 1:
        fix = "0.5 sets half of the numbers to 0."
        raise ParameterError(explain(where, expected="a rate from 0 to less than 1", got=str(rate), fix=fix))
    return number
