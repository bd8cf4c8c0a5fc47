"""Max and average pooling on their own, channels-last, any window: forward and backward.

Where a convolution stands before a max pooling, `convolution.py` does both in one pass; this is for the other cases.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import arguments, fields, floats, integers, kernel, take

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
_WINDOW = "x x_image x_row y y_image y_row index n rows columns out_rows out_columns channels"
_WINDOW += " kh kw sh sw top left dh dw count_padding padded_rows padded_columns"


@kernel(fields(_WINDOW))
def max_pool_forward(args, counter, thread):
    """y = max over the window; index = row * columns + column of the first maximum. A task is an output row."""
    a = arguments(args)
    task = take(counter)
    while task < a.n * a.out_rows:
        n, p = task // a.out_rows, task % a.out_rows
        x = floats(a.x + 4 * n * a.x_image, a.x_image)
        y = floats(a.y + 4 * (n * a.y_image + p * a.y_row), a.out_columns * a.channels)
        index = integers(a.index + 8 * task * a.out_columns * a.channels, a.out_columns * a.channels)
        for q in range(a.out_columns):
            first = True
            for i in range(a.kh):
                h = p * a.sh - a.top + i * a.dh
                if h < 0 or h >= a.rows:
                    continue
                for j in range(a.kw):
                    w = q * a.sw - a.left + j * a.dw
                    if w < 0 or w >= a.columns:
                        continue
                    for c in range(a.channels):
                        value, o = x[h * a.x_row + w * a.channels + c], q * a.channels + c
                        if first or value > y[o] or (value != value and y[o] == y[o]):
                            y[o] = value
                            index[o] = h * a.columns + w
                    first = False
        task = take(counter)


@kernel(fields(_WINDOW))
def max_pool_backward(args, counter, thread):
    """x (here dx) gets y (here dy) where the maximum was; a task is an image."""
    a = arguments(args)
    task = take(counter)
    while task < a.n:
        dx = floats(a.x + 4 * task * a.x_image, a.x_image)
        for h in range(a.rows):
            dx[h * a.x_row : h * a.x_row + a.columns * a.channels] = 0
        for p in range(a.out_rows):
            dy = floats(a.y + 4 * (task * a.y_image + p * a.y_row), a.out_columns * a.channels)
            size = a.out_columns * a.channels
            index = integers(a.index + 8 * (task * a.out_rows + p) * size, size)
            for q in range(a.out_columns):
                for c in range(a.channels):
                    o = q * a.channels + c
                    dx[index[o] // a.columns * a.x_row + index[o] % a.columns * a.channels + c] += dy[o]
        task = take(counter)


@kernel(fields(_WINDOW))
def average_pool_forward(args, counter, thread):
    """y = the window's sum over the number of its cells (inside the map, or with the padding). A task is a row."""
    a = arguments(args)
    task = take(counter)
    while task < a.n * a.out_rows:
        n, p = task // a.out_rows, task % a.out_rows
        x = floats(a.x + 4 * n * a.x_image, a.x_image)
        y = floats(a.y + 4 * (n * a.y_image + p * a.y_row), a.out_columns * a.channels)
        top, bottom = max(p * a.sh - a.top, 0), min(p * a.sh - a.top + a.kh, a.rows)
        for q in range(a.out_columns):
            left, right = max(q * a.sw - a.left, 0), min(q * a.sw - a.left + a.kw, a.columns)
            cells = max((bottom - top) * (right - left), 1)
            if a.count_padding:
                cells = (min(p * a.sh + a.kh, a.padded_rows) - p * a.sh) * (
                    min(q * a.sw + a.kw, a.padded_columns) - q * a.sw
                )
            y[q * a.channels : (q + 1) * a.channels] = 0
            for h in range(top, bottom):
                for w in range(left, right):
                    for c in range(a.channels):
                        y[q * a.channels + c] += x[h * a.x_row + w * a.channels + c]
            for c in range(a.channels):
                y[q * a.channels + c] /= np.float32(cells)
        task = take(counter)


@kernel(fields(_WINDOW))
def average_pool_backward(args, counter, thread):
    """x (here dx) gets its share of y (here dy) from every window that covers it; a task is an image."""
    a = arguments(args)
    task = take(counter)
    while task < a.n:
        dx = floats(a.x + 4 * task * a.x_image, a.x_image)
        for h in range(a.rows):
            dx[h * a.x_row : h * a.x_row + a.columns * a.channels] = 0
        for p in range(a.out_rows):
            dy = floats(a.y + 4 * (task * a.y_image + p * a.y_row), a.out_columns * a.channels)
            top, bottom = max(p * a.sh - a.top, 0), min(p * a.sh - a.top + a.kh, a.rows)
            for q in range(a.out_columns):
                left, right = max(q * a.sw - a.left, 0), min(q * a.sw - a.left + a.kw, a.columns)
                cells = max((bottom - top) * (right - left), 1)
                if a.count_padding:
                    cells = (min(p * a.sh + a.kh, a.padded_rows) - p * a.sh) * (
                        min(q * a.sw + a.kw, a.padded_columns) - q * a.sw
                    )
                for h in range(top, bottom):
                    for w in range(left, right):
                        for c in range(a.channels):
                            dx[h * a.x_row + w * a.channels + c] += dy[q * a.channels + c] / np.float32(cells)
        task = take(counter)
