"""Radial basis functions: how near features come to each of some codes, and the gradient of that."""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import apart, fields, floats, reordered
from foveal.kernels.intrinsics import wide_vectors
from foveal.kernels.tasks import images, images_a_task, per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32 = np.float32


@reordered
def squared_distance(x, code):
    """Return sum_j (x[j] - code[j])^2."""
    wide_vectors()
    s = f32(0)
    for j in range(x.size):
        d = x[j] - code[j]
        s += d * d
    return s


@apart
def add_slope(x, code, factor, dx):
    """dx += factor (x - code)"""
    wide_vectors()
    for j in range(dx.size):
        dx[j] += factor * (x[j] - code[j])


@per_task(fields("x xs codes y ys n features classes"), images, images_a_task)
def radial_forward(a, n, thread):
    """y[n, k] = -sum_j (x[n, j] - codes[k, j])^2"""
    x, y = floats(a.x + 4 * n * a.xs, a.features), floats(a.y + 4 * n * a.ys, a.classes)
    for k in range(a.classes):
        y[k] = -squared_distance(x, floats(a.codes + 4 * k * a.features, a.features))


@per_task(fields("x xs codes dy dys dx dxs n features classes"), images, images_a_task)
def radial_backward(a, n, thread):
    """dx[n, j] = -2 sum_k dy[n, k] (x[n, j] - codes[k, j])"""
    x, dx = floats(a.x + 4 * n * a.xs, a.features), floats(a.dx + 4 * n * a.dxs, a.features)
    dy = floats(a.dy + 4 * n * a.dys, a.classes)
    dx[:] = 0
    for k in range(a.classes):
        add_slope(x, floats(a.codes + 4 * k * a.features, a.features), f32(-2) * dy[k], dx)
