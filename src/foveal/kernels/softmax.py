"""Softmax and its logarithm along rows of neighbouring floats, forward and backward. All may work in place.

A run holds one row or several, of `classes` floats each. Between the passes over a row its numbers stay in the first
caches; sums are kept in float64.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels import exponential
from foveal.kernels.compiler import apart, floats, reordered
from foveal.kernels.intrinsics import STACK, larger, on_stack, wide_vectors
from foveal.kernels.runs import binary, unary

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32, f64 = np.float32, np.float64


@reordered
def largest(x):
    """Return the largest number of x, or NaN if there is one."""
    wide_vectors()
    top = x[0]
    for i in range(x.size):
        top = larger(top, x[i])
    return top


@apart
def exponentials(x, top, y):
    """y = e^(x - top)"""
    wide_vectors()
    for i in range(x.size):
        y[i] = exponential.exp_difference(x[i], top)


@reordered
def dot(x, y):
    """Return the sum of x y."""
    wide_vectors()
    total = 0.0
    for i in range(x.size):
        total += f64(x[i]) * f64(y[i])
    return total


@reordered
def sum_of(x):
    """Return the sum of x."""
    wide_vectors()
    total = 0.0
    for i in range(x.size):
        total += f64(x[i])
    return total


@unary("classes")
def softmax_forward(a, x, y):
    """y = e^(x - top) / sum e^(x - top)"""
    wide_vectors()
    for start in range(0, a.size, a.classes):
        xs, ys = x[start : start + a.classes], y[start : start + a.classes]
        exponentials(xs, largest(xs), ys)
        share = f32(1 / sum_of(ys))
        for i in range(ys.size):
            ys[i] *= share


@binary("classes")
def softmax_backward(a, y, dy, dx):
    """dx = y (dy - sum y dy)"""
    wide_vectors()
    for start in range(0, a.size, a.classes):
        ys, dys, dxs = y[start : start + a.classes], dy[start : start + a.classes], dx[start : start + a.classes]
        mean = dot(ys, dys)
        for i in range(dxs.size):
            dxs[i] = f32(f64(ys[i]) * (f64(dys[i]) - mean))


@unary("classes")
def log_softmax_forward(a, x, y):
    """y = x - log sum e^x, with the largest x taken out: x - (top + log sum e^(x - top))"""
    wide_vectors()
    for start in range(0, a.size, a.classes):
        xs, ys = x[start : start + a.classes], y[start : start + a.classes]
        top = largest(xs)
        total = 0.0
        for i in range(0, a.classes, STACK):
            block = floats(on_stack(), min(STACK, a.classes - i))
            exponentials(xs[i : i + STACK], top, block)
            total += sum_of(block)
        less = f64(top) + np.log(total)
        for i in range(ys.size):
            ys[i] = f32(f64(xs[i]) - less)


@binary("classes")
def log_softmax_backward(a, y, dy, dx):
    """dx = dy - e^y sum dy"""
    wide_vectors()
    for start in range(0, a.size, a.classes):
        ys, dys, dxs = y[start : start + a.classes], dy[start : start + a.classes], dx[start : start + a.classes]
        total = sum_of(dys)
        for i in range(dxs.size):
            dxs[i] = f32(f64(dys[i]) - f64(exponential.exp(ys[i])) * total)
