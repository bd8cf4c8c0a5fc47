"""ReLU and sigmoid on their own: forward and backward, elementwise over the rows of maps.

A ReLU behind a convolution or an affine layer costs nothing: it is the floor of the tile.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import IMAGES, arguments, fields, floats, kernel, take

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
_PAIR = fields("x x_image x_row y y_image y_row n rows size")
_TRIPLE = fields("y y_image y_row dy dy_image dy_row dx dx_image dx_row n rows size")


@kernel(_PAIR)
def copy(args, counter, thread):
    """y = x, for a reader that wants another border; a task is a few images."""
    a = arguments(args)
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            for h in range(a.rows):
                x = floats(a.x + 4 * (task * a.x_image + h * a.x_row), a.size)
                y = floats(a.y + 4 * (task * a.y_image + h * a.y_row), a.size)
                for i in range(a.size):
                    y[i] = x[i]
        first = IMAGES * take(counter)


@kernel(_PAIR)
def relu_forward(args, counter, thread):
    """y = max(x, 0); a task is a few images."""
    a = arguments(args)
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            for h in range(a.rows):
                x = floats(a.x + 4 * (task * a.x_image + h * a.x_row), a.size)
                y = floats(a.y + 4 * (task * a.y_image + h * a.y_row), a.size)
                for i in range(a.size):
                    y[i] = np.float32(0) if x[i] < 0 else x[i]
        first = IMAGES * take(counter)


@kernel(_TRIPLE)
def relu_backward(args, counter, thread):
    """dx = dy where y > 0, else 0; a task is a few images."""
    a = arguments(args)
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            for h in range(a.rows):
                y = floats(a.y + 4 * (task * a.y_image + h * a.y_row), a.size)
                dy = floats(a.dy + 4 * (task * a.dy_image + h * a.dy_row), a.size)
                dx = floats(a.dx + 4 * (task * a.dx_image + h * a.dx_row), a.size)
                for i in range(a.size):
                    dx[i] = dy[i] if y[i] > 0 else np.float32(0)
        first = IMAGES * take(counter)


@kernel(_PAIR)
def sigmoid_forward(args, counter, thread):
    """y = 1 / (1 + exp(-x)), computed from exp(-|x|) so that nothing overflows; a task is a few images."""
    a = arguments(args)
    one = np.float32(1)
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            for h in range(a.rows):
                x = floats(a.x + 4 * (task * a.x_image + h * a.x_row), a.size)
                y = floats(a.y + 4 * (task * a.y_image + h * a.y_row), a.size)
                for i in range(a.size):
                    small = np.exp(-abs(x[i]))
                    y[i] = (one if x[i] >= 0 else small) / (one + small)
        first = IMAGES * take(counter)


@kernel(_TRIPLE)
def sigmoid_backward(args, counter, thread):
    """dx = dy y (1 - y); a task is a few images."""
    a = arguments(args)
    one = np.float32(1)
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            for h in range(a.rows):
                y = floats(a.y + 4 * (task * a.y_image + h * a.y_row), a.size)
                dy = floats(a.dy + 4 * (task * a.dy_image + h * a.dy_row), a.size)
                dx = floats(a.dx + 4 * (task * a.dx_image + h * a.dx_row), a.size)
                for i in range(a.size):
                    dx[i] = dy[i] * y[i] * (one - y[i])
        first = IMAGES * take(counter)
