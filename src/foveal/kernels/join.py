"""Where maps meet: their sum, and copies of some channels of every pixel, as concatenation needs them."""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import apart, floats
from foveal.kernels.intrinsics import wide_vectors
from foveal.kernels.runs import operands, per_run, unary

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
PIXELS = 256  # of a task that copies channels


@apart
def _sums(a, b, y, floor):
    wide_vectors()
    for i in range(y.size):
        value = a[i] + b[i]
        y[i] = floor if value < floor else value


@per_run(operands("a b y", reals="floor"))
def add(args, image, plane, row, thread):
    """y = max(floor, a + b); y may lie where a or b lies."""
    a = args.a + 4 * (image * args.a_image + plane * args.a_plane + row * args.a_row)
    b = args.b + 4 * (image * args.b_image + plane * args.b_plane + row * args.b_row)
    y = args.y + 4 * (image * args.y_image + plane * args.y_plane + row * args.y_row)
    _sums(floats(a, args.size), floats(b, args.size), floats(y, args.size), np.float32(args.floor))


@apart
def _copied(x, y):
    wide_vectors()
    for c in range(y.size):
        y[c] = x[c]


@per_run(operands("x y", "x_pixel y_pixel channels"), grain=PIXELS)
def copy_channels(a, image, plane, row, thread):
    """The first `channels` floats of each of `size` pixels of x go to those of y; pixels may be further apart."""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    for pixel in range(a.size):
        _copied(floats(x + 4 * pixel * a.x_pixel, a.channels), floats(y + 4 * pixel * a.y_pixel, a.channels))


@unary(reals="factor")
def scale(a, x, y):
    """y = factor * x; y may lie where x lies."""
    for i in range(y.size):
        y[i] = x[i] * np.float32(a.factor)
