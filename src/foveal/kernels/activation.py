"""Activations on their own: forward and backward, each written for one number. All may work in place.

A ReLU behind a convolution or an affine layer costs nothing: it is the floor of the tile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foveal.kernels import exponential
from foveal.kernels.compiler import Function, Kernel, inlined, named_after
from foveal.kernels.intrinsics import wide_vectors
from foveal.kernels.runs import binary, unary

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32 = np.float32
ZERO, ONE = f32(0), f32(1)
AMPLITUDE, STEEPNESS = f32(1.7159), f32(2 / 3)  # of the scaled tanh
INVERSE, SLOPE = f32(1 / 1.7159), f32(1.7159 * 2 / 3)
formula: Any = None  # the name of what the loops call; `_each` puts the activation's own there


def _forward(a, x, y):
    wide_vectors()
    for i in range(y.size):
        y[i] = formula(x[i])


def _backward(a, y, dy, dx):
    wide_vectors()
    for i in range(dx.size):
        dx[i] = formula(y[i], dy[i])


def _sloped_forward(a, x, y):
    wide_vectors()
    slope = f32(a.slope)
    for i in range(y.size):
        y[i] = formula(x[i], slope)


def _sloped_backward(a, y, dy, dx):
    wide_vectors()
    slope = f32(a.slope)
    for i in range(dx.size):
        dx[i] = formula(y[i], dy[i], slope)


def _each(loop: Function, frame: Callable[[Function], Kernel]) -> Callable[[Function], Kernel]:
    """Make a kernel of the formula for one number."""
    return lambda f: frame(named_after(f, loop, formula=inlined(f)))


forward, backward = _each(_forward, unary()), _each(_backward, binary())
sloped_forward = _each(_sloped_forward, unary(reals="slope"))
sloped_backward = _each(_sloped_backward, binary(reals="slope"))


@forward
def copy(x):
    """y = x, for a reader that wants another border"""
    return x


@forward
def relu_forward(x):
    """y = max(x, 0)"""
    return ZERO if x < 0 else x


@backward
def relu_backward(y, dy):
    """dx = dy where y > 0, else 0"""
    return dy if y > 0 else ZERO


@sloped_forward
def leaky_relu_forward(x, slope):
    """y = slope x where x < 0, else x"""
    return slope * x if x < 0 else x


@sloped_backward
def leaky_relu_backward(y, dy, slope):
    """dx = dy where y > 0, else slope dy"""
    return dy if y > 0 else slope * dy


@forward
def sigmoid_forward(x):
    """y = 1 / (1 + e^-x)"""
    return exponential.sigmoid(x)


@backward
def sigmoid_backward(y, dy):
    """dx = dy y (1 - y)"""
    return dy * y * (ONE - y)


@forward
def tanh_forward(x):
    """y = tanh(x)"""
    return exponential.tanh(x)


@backward
def tanh_backward(y, dy):
    """dx = dy (1 - y^2)"""
    return dy * (ONE - y * y)


@forward
def scaled_tanh_forward(x):
    """y = 1.7159 tanh(2/3 x)"""
    return AMPLITUDE * exponential.tanh(STEEPNESS * x)


@backward
def scaled_tanh_backward(y, dy):
    """dx = dy 1.7159 2/3 (1 - (y / 1.7159)^2)"""
    z = INVERSE * y
    return SLOPE * dy * (ONE - z * z)
