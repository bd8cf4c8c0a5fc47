"""The loops of the affine layer: y = x w^T + b, dw = dy^T x, dx = dy w.

w is kept in blocks of features, each as (units, features of the block), features in memory order and padded with zeros:
forward reads both operands along the features, and both gradients read vectors of features, so nothing is ever
transposed. All passes walk through the blocks in the same order; with tasks taken from both ends each core meets its
own half of w and of what the optimizer remembers of it. A step of learning does all that w is needed for at once, a
panel of features at a time: the gradient of w never goes to memory, and w comes from there once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal.kernels.compiler import Function, Kernel, fields, floats, helper, integers, named_after, rounded
from foveal.kernels.convolution import deal, tile_rows
from foveal.kernels.intrinsics import call_inner
from foveal.kernels.tasks import images, images_a_task, per_task
from foveal.kernels.update import COEFFICIENTS, FORMULAS, coefficients, muon

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
def panel(table, p):
    """Return of a panel of a gradient: its first feature, how many, the byte offset of its weights, stride, tiles."""
    row = integers(table + 40 * p, 5)
    return row[0], row[1], row[2], row[3], row[4]


@helper
def gradient_of_weights(a, p, dw, stride):
    """dw[u, f] = sum_n dy[n, u] x[n, f] for a panel of features; rows of dw are `stride` floats apart."""
    feature, _, _, _, tiles = panel(a.table, p)
    tile_rows(tiles, deal(a.units, a.R), a.dy, 1, a.dys, a.x + 4 * feature, a.xs, a.one_tap, 1, a.n, a.zeros, 0, dw,
              stride, -float("inf"), a.lanes, a.ahead)  # fmt: skip


@helper
def gradient_of_bias(a):
    """db[u] = sum_n dy[n, u]"""
    db = floats(a.db, a.units)
    db[:] = 0
    for n in range(a.n):
        dy = floats(a.dy + 4 * n * a.dys, a.units)
        for u in range(a.units):
            db[u] += dy[u]


@helper
def gradient_of_features(a, table, R, p):
    """dx[n, f] = sum_u dy[n, u] w[u, f] for a panel of features."""
    feature, _, at, stride, tiles = panel(table, p)
    tile_rows(tiles, deal(a.n, R), a.dy, a.dys, 1, a.w + at, stride, a.one_tap, 1, a.units, a.zeros, 0,
              a.dx + 4 * feature, a.dxs, -float("inf"), a.lanes, a.ahead)  # fmt: skip


@per_task(fields("dy dys x xs dw db one_tap zeros n units table panels ahead R lanes"), lambda a: a.panels + 1)
def affine_weight_gradient(a, task, thread):
    """dw and db; a task is a panel of features, the last one db."""
    if task == a.panels:
        gradient_of_bias(a)
    else:
        _, _, at, stride, _ = panel(a.table, task)
        gradient_of_weights(a, task, a.dw + at, stride)


@per_task(fields("dy dys w dx dxs one_tap zeros n units table panels ahead R lanes"), lambda a: a.panels)
def affine_input_gradient(a, task, thread):
    """dx; a task is a panel of features."""
    gradient_of_features(a, a.table, a.R, task)


formula: Any = None  # a name in the frame below; `named_after` puts there what belongs to an optimizer


def _learn(a, task, thread):
    if task == a.panels:
        gradient_of_bias(a)
        formula(floats(a.b, a.units), floats(a.db, a.units), floats(a.bm, a.units), floats(a.bv, a.units),
                coefficients(a, a.bias_decays))  # fmt: skip
        return
    _, width, at, stride, _ = panel(a.table, task)
    dw, c = a.dw + 4 * thread * a.dw_size, coefficients(a, 1)
    gradient_of_weights(a, task, dw, width)
    if a.dx:
        gradient_of_features(a, a.dx_table, a.dx_R, task)
    for u in range(a.units):
        row = at + 4 * u * stride
        formula(floats(a.w + row, width), floats(dw + 4 * u * width, width), floats(a.m + row, width),
                floats(a.v + row, width), c)  # fmt: skip


_LEARN = fields(
    "dy dys x xs w m v b bm bv bias_decays dx dxs dw dw_size db one_tap zeros n units table R dx_table dx_R panels "
    "ahead lanes",
    COEFFICIENTS,
)


def _learning(f: Function) -> Kernel:
    """Return the kernel of dx and the update of w and b by one formula; a task is a panel of features, the last one b.

    The gradient of a panel stands in the scratch of its thread. dx may be x: both lie in the panel's features.
    """
    return per_task(_LEARN, lambda a: a.panels + 1)(named_after(f, _learn, "affine_", formula=rounded(f)))


LEARNING: dict[str, Kernel] = {f.__name__: _learning(f) for f in FORMULAS if f is not muon}
