"""The loops of the depthwise convolution, 1D to 3D: forward, which is also the input gradient, and weight gradient.

Maps are channels-last. A task is a few rows of a plane of y: so many that its tiles find most pixels of x in L1.
"""

from __future__ import annotations

import numpy as np
from numba.extending import intrinsic

from foveal.kernels import depthwise_tile
from foveal.kernels.compiler import fields, floats, helper, integers
from foveal.kernels.convolution import blocks
from foveal.kernels.intrinsics import tile_call
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"


@intrinsic
def call_forward(typing, tile, x, xs, w, ws, taps, T, init, y, ys, floor, channels, M, N, xn, yn):
    """Call a forward tile by its address; the arguments are those of `depthwise_tile.FORWARD`."""
    return tile_call(depthwise_tile.FORWARD)


@intrinsic
def call_gradient(typing, tile, x, xs, rows, dy, ys, dw, ws, db, channels, M, N, xn, yn):
    """Call a weight gradient tile by its address; the arguments are those of `depthwise_tile.GRADIENT`."""
    return tile_call(depthwise_tile.GRADIENT)


ROWS = "x x_image x_plane x_row xs y y_image y_plane y_row ys n planes rows block channels more rest wide advance"


@helper
def rows_of(a, task):
    """Return of a task: addresses of its first pixel in x and y, and its number of rows."""
    plane, start = task // blocks(a), task % blocks(a) * a.block
    n, o = plane // a.planes, plane % a.planes
    x = a.x + 4 * (n * a.x_image + o * a.x_plane + start * a.x_row)
    y = a.y + 4 * (n * a.y_image + o * a.y_plane + start * a.y_row)
    return x, y, min(a.block, a.rows - start)


@helper
def tasks_of(a):
    """Return the number of tasks."""
    return a.n * a.planes * blocks(a)


@per_task(fields(f"{ROWS} large small w ws taps T bias", "floor"), lambda a: tasks_of(a))
def depthwise_forward(a, task, thread):
    """y[n, o, p, q, :] = max(floor, bias + sum over taps).

    The first `wide` columns of a row are covered by `more` large tiles, the others by `rest` small ones.
    """
    x, y, rows = rows_of(a, task)
    if a.more > 0:
        call_forward(a.large, x, a.xs, a.w, a.ws, a.taps, a.T, a.bias, y, a.ys, a.floor, a.channels, a.more, rows,
                     a.x_row, a.y_row)  # fmt: skip
    if a.rest > 0:
        x, y = x + 4 * a.wide * a.advance, y + 4 * a.wide * a.ys
        call_forward(a.small, x, a.xs, a.w, a.ws, a.taps, a.T, a.bias, y, a.ys, a.floor, a.channels, a.rest, rows,
                     a.x_row, a.y_row)  # fmt: skip


@per_task(fields(f"{ROWS} cuts count dw dw_size ws db db_size parts"), lambda a: a.parts)
def depthwise_weight_gradient(a, part, thread):
    """dw[part] = sum over the part's rows of x (correlated with) dy, here y; db[part] = the sum of dy.

    The kernel is cut into `count` pieces that a tile has registers for: (rows of x, place in dw, large and small tile)
    each. A task is a part of the batch's rows; `reduction.sum_parts` adds the parts up in their order.
    """
    cuts = integers(a.cuts, 4 * a.count)
    dw, db = a.dw + 4 * part * a.dw_size, a.db + 4 * part * a.db_size
    floats(dw, a.dw_size)[:] = 0
    floats(db, a.db_size)[:] = 0
    for t in range(part * tasks_of(a) // a.parts, (part + 1) * tasks_of(a) // a.parts):
        x, y, rows = rows_of(a, t)
        for c in range(a.count):
            at, to, large, small = cuts[4 * c], dw + cuts[4 * c + 1], cuts[4 * c + 2], cuts[4 * c + 3]
            if a.more > 0:
                call_gradient(large, x, a.xs, at, y, a.ys, to, a.ws, db, a.channels, a.more, rows, a.x_row,
                              a.y_row)  # fmt: skip
            if a.rest > 0:
                call_gradient(small, x + 4 * a.wide * a.advance, a.xs, at, y + 4 * a.wide * a.ys, a.ys, to, a.ws,
                              db, a.channels, a.rest, rows, a.x_row, a.y_row)  # fmt: skip


@per_task(fields("x x_image y y_image n size times"), lambda a: a.n)
def repeat_channels(a, n, thread):
    """y[i * times + j] = x[i]: each channel `times` times, side by side. A task is an image, its border with it."""
    x, y = floats(a.x + 4 * n * a.x_image, a.size), floats(a.y + 4 * n * a.y_image, a.size * a.times)
    for i in range(a.size):
        for j in range(a.times):
            y[i * a.times + j] = x[i]


@per_task(fields("x x_image y y_image n size times", "floor"), lambda a: a.n)
def add_channels(a, n, thread):
    """x[i] = max(floor, sum over j of y[i * times + j]): `repeat_channels` backwards. A task is an image."""
    x, y = floats(a.x + 4 * n * a.x_image, a.size), floats(a.y + 4 * n * a.y_image, a.size * a.times)
    for i in range(a.size):
        total = y[i * a.times]
        for j in range(1, a.times):
            total += y[i * a.times + j]
        x[i] = max(total, np.float32(a.floor))
