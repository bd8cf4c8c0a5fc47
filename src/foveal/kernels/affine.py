"""The loops of the affine layer: y = x w^T + b, dw = dy^T x, dx = dy w.

w is kept in blocks of features, each as (units, features of the block), features in memory order and padded with zeros:
forward reads both operands along the features, and both gradients read vectors of features, so nothing is ever
transposed. All three passes, and the optimizer's update, walk through the blocks in the same order; with tasks taken
from both ends each core meets its own half of w, of its gradient and of what the optimizer remembers of it.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import fields, floats, helper, integers
from foveal.kernels.convolution import deal, tile_rows
from foveal.kernels.intrinsics import call_inner
from foveal.kernels.tasks import images, images_a_task, per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"


@helper
def dot_rows(table, R, x, xs, w, ws, K, init, i_s, y, ys, floor, rows):
    """Cover `rows` rows of x with dot-product tiles of nearly equal size."""
    size, few, more = deal(rows, R)
    tile = integers(table, R + 1)
    if more > 0:
        call_inner(tile[size + 1], x, xs, w, ws, K, init, i_s, y, ys, floor, more)
        done = more * (size + 1)
        x, init, y = x + 4 * done * xs, init + 4 * done * i_s, y + 4 * done * ys
    if few > 0:
        call_inner(tile[size], x, xs, w, ws, K, init, i_s, y, ys, floor, few)


@helper
def panels(a):
    """Return how many panels of C units there are."""
    return (a.units + a.C - 1) // a.C


@per_task(
    fields("x xs w blocks count lanes bias zeros parts part_size ys n units C main last R", "floor"),
    lambda a: a.count * panels(a),
)
def affine_forward(a, task, thread):
    """parts[b, n, u] = max(floor, x[n] . w[u] over the features of block b), the first plus bias[u].

    A task is a panel of C units in a block.
    """
    block, unit = task // panels(a), task % panels(a) * a.C
    feature, size = integers(a.blocks, 2 * a.count)[2 * block], integers(a.blocks, 2 * a.count)[2 * block + 1]
    table = a.last if unit + a.C >= a.units else a.main
    init = a.bias + 4 * unit if block == 0 else a.zeros
    dot_rows(table, a.R, a.x + 4 * feature, a.xs, a.w + 4 * (a.units * feature + unit * size), size,
             size // a.lanes, init, 0, a.parts + 4 * (block * a.part_size + unit), a.ys, a.floor, a.n)  # fmt: skip


@per_task(fields("parts part_size count y ys n units", "floor"), images, images_a_task)
def affine_sum(a, n, thread):
    """y[n, u] = max(floor, parts[0, n, u] + parts[1, n, u] + ...)."""
    floor, y = np.float32(a.floor), floats(a.y + 4 * n * a.ys, a.units)
    y[:] = floats(a.parts + 4 * n * a.ys, a.units)
    for p in range(1, a.count):
        part = floats(a.parts + 4 * (p * a.part_size + n * a.ys), a.units)
        for u in range(a.units):
            y[u] += part[u]
    for u in range(a.units):
        if y[u] < floor:
            y[u] = floor


@helper
def panel(a, p):
    """Return of a panel of a gradient: its first feature, the byte offset of its weights, their stride, its tiles."""
    row = integers(a.table + 32 * p, 4)
    return row[0], row[1], row[2], row[3]


@per_task(fields("dy dys x xs dw db one_tap zeros n units table panels ahead R lanes"), lambda a: a.panels + 1)
def affine_weight_gradient(a, task, thread):
    """dw[u, f] = sum_n dy[n, u] x[n, f]; db[u] = sum_n dy[n, u]. A task is a panel of features, the last one db."""
    none = -float("inf")
    if task == a.panels:
        db = floats(a.db, a.units)
        db[:] = 0
        for n in range(a.n):
            dy = floats(a.dy + 4 * n * a.dys, a.units)
            for u in range(a.units):
                db[u] += dy[u]
    else:
        feature, at, stride, tiles = panel(a, task)
        tile_rows(tiles, deal(a.units, a.R), a.dy, 1, a.dys, a.x + 4 * feature, a.xs, a.one_tap, 1, a.n, a.zeros, 0,
                  a.dw + at, stride, none, a.lanes, a.ahead)  # fmt: skip


@per_task(fields("dy dys w dx dxs one_tap zeros n units table panels ahead R lanes"), lambda a: a.panels)
def affine_input_gradient(a, task, thread):
    """dx[n, f] = sum_u dy[n, u] w[u, f]; a task is a panel of features."""
    feature, at, stride, tiles = panel(a, task)
    tile_rows(tiles, deal(a.n, a.R), a.dy, a.dys, 1, a.w + at, stride, a.one_tap, 1, a.units, a.zeros, 0,
              a.dx + 4 * feature, a.dxs, -float("inf"), a.lanes, a.ahead)  # fmt: skip
