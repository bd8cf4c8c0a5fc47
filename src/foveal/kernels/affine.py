"""The loops of the affine layer: y = x w^T + b, dw = dy^T x, dx = dy w.

w is kept as (units, features), features in memory order and padded with zeros: forward reads both operands along the
features, and both gradients read vectors of features, so nothing is ever transposed.
"""

from __future__ import annotations

from foveal.kernels.compiler import arguments, fields, floats, helper, integers, kernel, take
from foveal.kernels.convolution import tile_rows
from foveal.kernels.intrinsics import call_inner

# mypy: disable-error-code="no-untyped-def,no-untyped-call"


@helper
def dot_rows(table, R, x, xs, w, ws, K, init, i_s, y, ys, floor, rows):
    """Cover `rows` rows of x with dot-product tiles of nearly equal size."""
    tiles = (rows + R - 1) // R
    small = rows // tiles
    more = rows - small * tiles
    tile = integers(table, R + 1)
    if more > 0:
        call_inner(tile[small + 1], x, xs, w, ws, K, init, i_s, y, ys, floor, more)
        done = more * (small + 1)
        x, init, y = x + 4 * done * xs, init + 4 * done * i_s, y + 4 * done * ys
    if tiles > more:
        call_inner(tile[small], x, xs, w, ws, K, init, i_s, y, ys, floor, tiles - more)


@kernel(fields("x xs w ws K init init_row y ys n units C main last R", "floor"))
def affine_forward(args, counter, thread):
    """y[n, u] = max(floor, init + x[n] . w[u]) over K vectors of features; a task is a panel of C units."""
    a = arguments(args)
    panels = (a.units + a.C - 1) // a.C
    task = take(counter)
    while task < panels:
        unit = 4 * task * a.C
        table = a.last if task == panels - 1 else a.main
        dot_rows(table, a.R, a.x, a.xs, a.w + unit * a.ws, a.ws, a.K, a.init + unit, a.init_row, a.y + unit, a.ys,
                 a.floor, a.n)  # fmt: skip
        task = take(counter)


@kernel(fields("dy dys x xs dw dws db one_tap zeros n units width last_width panels main last R lanes"))
def affine_weight_gradient(args, counter, thread):
    """dw[u, f] = sum_n dy[n, u] x[n, f]; db[u] = sum_n dy[n, u]. A task is a panel of features, the last one db."""
    a = arguments(args)
    none = -float("inf")
    task = take(counter)
    while task <= a.panels:
        feature = 4 * task * a.width
        if task == a.panels:
            db = floats(a.db, a.units)
            db[:] = 0
            for n in range(a.n):
                dy = floats(a.dy + 4 * n * a.dys, a.units)
                for u in range(a.units):
                    db[u] += dy[u]
        else:
            table = a.last if task == a.panels - 1 else a.main
            tile_rows(table, a.R, a.dy, 1, a.dys, a.x + feature, a.xs, a.one_tap, 1, a.n, a.zeros, 0,
                      a.dw + feature, a.dws, none, a.lanes, a.units, a.width)  # fmt: skip
        task = take(counter)


@kernel(fields("dy dys w ws dx dxs one_tap zeros n units width last_width panels main last R lanes"))
def affine_input_gradient(args, counter, thread):
    """dx[n, f] = sum_u dy[n, u] w[u, f]; a task is a panel of features."""
    a = arguments(args)
    task = take(counter)
    while task < a.panels:
        feature = 4 * task * a.width
        table = a.last if task == a.panels - 1 else a.main
        tile_rows(table, a.R, a.dy, a.dys, 1, a.w + feature, a.ws, a.one_tap, 1, a.units, a.zeros, 0,
                  a.dx + feature, a.dxs, -float("inf"), a.lanes, a.n, a.width)  # fmt: skip
        task = take(counter)
