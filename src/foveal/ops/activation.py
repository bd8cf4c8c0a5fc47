"""Activations of float32 arrays by the kernels for one number, over memory as it lies: the shape does not matter."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal.ops.arrays import contiguous, over_arrays
from foveal.ops.referred import float_type
from foveal.reference import arguments
from foveal.reference.activation import check_slope

Array = NDArray[Any]
Formula = Callable[..., Array]


def _forward(kernel: str, x: Array, **constants: Any) -> Array:
    from foveal.kernels import activation

    source = contiguous(x)
    y = np.empty(source.shape, np.float32)
    over_arrays(getattr(activation, kernel), {"x": source, "y": y}, **constants)
    return y


def _backward(kernel: str, y: Array, dy: Array, **constants: Any) -> Array:
    from foveal.kernels import activation

    source = contiguous(y)
    dx = np.empty(source.shape, np.float32)
    over_arrays(getattr(activation, kernel), {"y": source, "dy": contiguous(dy), "dx": dx}, **constants)
    return dx


def _pair(formula: Formula, gradient: Formula) -> tuple[Formula, Formula]:
    """Return an activation and its gradient, run by the kernels called after the formula."""
    name = formula.__name__

    @functools.wraps(formula)
    def forward(x: ArrayLike) -> Array:
        x = arguments.real(x, name)
        return _forward(f"{name}_forward", x) if float_type(x) == np.float32 else formula(x)

    @functools.wraps(gradient)
    def backward(y: ArrayLike, dy: ArrayLike) -> Array:
        y = arguments.real(y, f"{name}_grad", "y")
        dy = arguments.same_shape(dy, y.shape, f"{name}_grad")
        return _backward(f"{name}_backward", y, dy) if float_type(y, dy) == np.float32 else gradient(y, dy)

    return forward, backward


relu, relu_grad = _pair(reference.relu, reference.relu_grad)
sigmoid, sigmoid_grad = _pair(reference.sigmoid, reference.sigmoid_grad)
tanh, tanh_grad = _pair(reference.tanh, reference.tanh_grad)
scaled_tanh, scaled_tanh_grad = _pair(reference.scaled_tanh, reference.scaled_tanh_grad)


@functools.wraps(reference.leaky_relu)
def leaky_relu(x: ArrayLike, slope: float = 0.01) -> Array:
    x, slope = arguments.real(x, "leaky_relu"), check_slope(slope, "leaky_relu")
    fast = float_type(x) == np.float32
    return _forward("leaky_relu_forward", x, slope=slope) if fast else reference.leaky_relu(x, slope)


@functools.wraps(reference.leaky_relu_grad)
def leaky_relu_grad(y: ArrayLike, dy: ArrayLike, slope: float = 0.01) -> Array:
    y, slope = arguments.real(y, "leaky_relu_grad", "y"), check_slope(slope, "leaky_relu_grad")
    dy = arguments.same_shape(dy, y.shape, "leaky_relu_grad")
    fast = float_type(y, dy) == np.float32
    return _backward("leaky_relu_backward", y, dy, slope=slope) if fast else reference.leaky_relu_grad(y, dy, slope)
