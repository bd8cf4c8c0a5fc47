"""Dropout of float32 arrays: the mask is computed, place by place, while the array goes by."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal.ops.arrays import contiguous
from foveal.ops.referred import float_type
from foveal.reference import arguments
from foveal.reference.dropout import check_rate
from foveal.reference.random import check_seed

Array = NDArray[Any]


@functools.wraps(reference.dropout)
def dropout(x: ArrayLike, rate: float = 0.5, *, seed: int = 0) -> Array:
    x = arguments.real(x, "dropout")
    rate, seed = check_rate(rate, "dropout"), check_seed(seed, "dropout")
    if float_type(x) != np.float32:
        return reference.dropout(x, rate, seed=seed)
    from foveal.kernels.dropout import array_steps
    from foveal.kernels.steps import program

    source = contiguous(x)
    y = np.empty(source.shape, np.float32)
    program(array_steps("dropout", source, y, rate, seed)).run()
    return y


@functools.wraps(reference.dropout_grad)
def dropout_grad(dy: ArrayLike, rate: float = 0.5, *, seed: int = 0) -> Array:
    return dropout(arguments.real(dy, "dropout_grad", "dy"), rate, seed=seed)
