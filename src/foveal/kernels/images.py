"""From the users' arrays into channels-last maps and back: the only copies that a network makes of its input.

Images are read row by row of the data set, in the order a batch asks for, so a shuffled batch is never gathered
first, and uint8 pixels become float32 here.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import IMAGES, arguments, bytes_, fields, floats, helper, integers, kernel, take

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
_IMAGES = fields("source numbers y y_image y_plane y_row y_pixel n channels planes rows columns", "scale")


@helper
def spread(source, y, a, scale):
    """Write one image (C, D, H, W), times `scale`, to channels-last memory."""
    C, D, H, W, pixel = a.channels, a.planes, a.rows, a.columns, a.y_pixel
    if a.y_plane == H * W * pixel:  # no border: the whole map is one row
        D, H, W = 1, 1, D * H * W
    for d in range(D):
        for h in range(H):
            start = d * a.y_plane + h * a.y_row
            row = y[start : start + W * pixel]
            for c in range(C):
                first = ((c * D + d) * H + h) * W
                values = source[first : first + W]
                if pixel == 1:
                    for w in range(W):  # plain indices on both sides: this loop becomes vector code
                        row[w] = np.float32(values[w]) * scale
                else:
                    for w in range(W):
                        row[w * pixel + c] = np.float32(values[w]) * scale


@helper
def number(a, task):
    """Return which image of the source is image number `task` of the batch."""
    return integers(a.numbers, a.n)[task] if a.numbers else task


@kernel(_IMAGES)
def read_uint8(args, counter, thread):
    """y[i] = scale * source[numbers[i]] for uint8 images (C, *spatial); a task is a few images."""
    a = arguments(args)
    size = a.channels * a.planes * a.rows * a.columns
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            y = floats(a.y + 4 * task * a.y_image, a.y_image)
            spread(bytes_(a.source + number(a, task) * size, size), y, a, np.float32(a.scale))
        first = IMAGES * take(counter)


@kernel(_IMAGES)
def read_float32(args, counter, thread):
    """y[i] = scale * source[numbers[i]] for float32 images (C, *spatial); a task is a few images."""
    a = arguments(args)
    size = a.channels * a.planes * a.rows * a.columns
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            y = floats(a.y + 4 * task * a.y_image, a.y_image)
            spread(floats(a.source + 4 * number(a, task) * size, size), y, a, np.float32(a.scale))
        first = IMAGES * take(counter)


@kernel(fields("x x_image x_plane x_row x_pixel target n channels planes rows columns"))
def write_float32(args, counter, thread):
    """target[i] = x[i], from channels-last memory to (C, *spatial); a task is a few images."""
    a = arguments(args)
    size = a.channels * a.planes * a.rows * a.columns
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            x = floats(a.x + 4 * task * a.x_image, a.x_image)
            target = floats(a.target + 4 * task * size, size)
            i = 0
            for c in range(a.channels):
                for d in range(a.planes):
                    for h in range(a.rows):
                        row = d * a.x_plane + h * a.x_row + c
                        for w in range(a.columns):
                            target[i + w] = x[row + w * a.x_pixel]
                        i += a.columns
        first = IMAGES * take(counter)
