"""Where maps meet: their sum, and copies of some channels of every pixel, as concatenation needs them.

Maps are worked on by lines, the rows of all planes of all images, so borders are left alone and any number of images
keeps all threads busy; a task is a few lines.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import arguments, fields, floats, helper, kernel, take

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
LINES = "n planes rows columns lines"


@helper
def line_of(a, line):
    """Return image, plane and row of a line."""
    return line // (a.planes * a.rows), line // a.rows % a.planes, line % a.rows


@kernel(fields(f"a a_image a_plane a_row b b_image b_plane b_row y y_image y_plane y_row channels {LINES}", "floor"))
def add(args, counter, thread):
    """y = max(floor, a + b) over maps of one shape; y may be a or b."""
    a = arguments(args)
    total, size, floor = a.n * a.planes * a.rows, a.columns * a.channels, np.float32(a.floor)
    first = take(counter) * a.lines
    while first < total:
        for line in range(first, min(first + a.lines, total)):
            n, o, h = line_of(a, line)
            one = floats(a.a + 4 * (n * a.a_image + o * a.a_plane + h * a.a_row), size)
            two = floats(a.b + 4 * (n * a.b_image + o * a.b_plane + h * a.b_row), size)
            y = floats(a.y + 4 * (n * a.y_image + o * a.y_plane + h * a.y_row), size)
            for i in range(size):
                total_of_two = one[i] + two[i]
                y[i] = floor if total_of_two < floor else total_of_two
        first = take(counter) * a.lines


@kernel(fields(f"x x_image x_plane x_row x_pixel y y_image y_plane y_row y_pixel channels {LINES}"))
def copy_channels(args, counter, thread):
    """The first `channels` floats of every pixel of x go to those of y: strides from pixel to pixel may differ."""
    a = arguments(args)
    total = a.n * a.planes * a.rows
    first = take(counter) * a.lines
    while first < total:
        for line in range(first, min(first + a.lines, total)):
            n, o, h = line_of(a, line)
            x = floats(a.x + 4 * (n * a.x_image + o * a.x_plane + h * a.x_row), a.columns * a.x_pixel)
            y = floats(a.y + 4 * (n * a.y_image + o * a.y_plane + h * a.y_row), a.columns * a.y_pixel)
            for q in range(a.columns):
                for c in range(a.channels):
                    y[q * a.y_pixel + c] = x[q * a.x_pixel + c]
        first = take(counter) * a.lines


@kernel(fields("x x_image n size", "factor"))
def scale(args, counter, thread):
    """x *= factor over rows of features; a task is a row."""
    a = arguments(args)
    task = take(counter)
    while task < a.n:
        x = floats(a.x + 4 * task * a.x_image, a.size)
        for i in range(a.size):
            x[i] *= np.float32(a.factor)
        task = take(counter)
