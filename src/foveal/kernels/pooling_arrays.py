"""Pooling of the users' arrays as they lie in memory, (maps, D, H, W): for the functions of `foveal.ops`.

A map is one channel of one image, and vectors run along its rows. What planes and rows of the result meet stands in
tables, as in `pooling.py`. For each tap of a kernel row there is a row of a table, too: (first, stop, start), the
columns of y that meet it inside the map, and where the first of them does. So no loop looks for an edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal.kernels.compiler import Function, Kernel, bytes_, fields, floats, helper, inlined, integers, named_after
from foveal.kernels.pooling import AXIS
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
_TABLES = "n depth height width out_depth out_height out_width planes rows plane_step row_step columns taps stride"
_SCRATCH = "scratch scratch_size"
move: Any = None  # name of what a frame calls; `per_place` puts the kernel's own there


@helper
def meets(table, line):
    """Return of an output on an axis: the first position it meets, and their number."""
    row = integers(table, AXIS * (line + 1))
    return row[AXIS * line], row[AXIS * line + 1]


@helper
def take_larger(y, places, row, place, n, stride):
    """Put row[0], row[stride] ... where they are larger than y, and their places; the first NaN stays."""
    for i in range(n):
        value, best = row[i * stride], y[i]
        better = (not value <= best) & (best == best)
        y[i] = value if better else best
        places[i] = np.int32(place + i * stride) if better else places[i]


@per_task(fields(f"x y index starts {_TABLES} {_SCRATCH}"), lambda a: a.n)
def max_pool(a, task, thread):
    """y = max over the window, and index = its place in the map, where that is asked for. A task is a map.

    starts : the first column that each column of y meets
    """
    starts, columns = integers(a.starts, a.out_width), integers(a.columns, AXIS * a.taps)
    places = floats(a.scratch + 4 * thread * a.scratch_size, a.out_width).view(np.int32)
    size = a.depth * a.height * a.width
    for o in range(a.out_depth):
        z, planes = meets(a.planes, o)
        for p in range(a.out_height):
            h, rows = meets(a.rows, p)
            at = ((task * a.out_depth + o) * a.out_height + p) * a.out_width
            y, corner = floats(a.y + 4 * at, a.out_width), (z * a.height + h) * a.width
            y[:] = -np.inf
            for q in range(a.out_width):
                places[q] = corner + starts[q]
            for d in range(planes):
                for r in range(rows):
                    line = corner + (d * a.plane_step * a.height + r * a.row_step) * a.width
                    for j in range(a.taps):
                        first, stop, start = columns[AXIS * j], columns[AXIS * j + 1], columns[AXIS * j + 2]
                        x, n = floats(a.x + 4 * (task * size + line + start), a.width), stop - first
                        best, found, place = y[first:stop], places[first:stop], line + start
                        if a.stride == 1:  # a stride that the compiler knows makes vector code
                            take_larger(best, found, x, place, n, 1)
                        elif a.stride == 2:
                            take_larger(best, found, x, place, n, 2)
                        else:
                            take_larger(best, found, x, place, n, a.stride)
            if a.index:
                index = integers(a.index + 8 * at, a.out_width)
                for q in range(a.out_width):
                    index[q] = places[q]


def _each_place(a, task, thread):
    x, y = floats(a.x + 4 * task * a.size, a.size), floats(a.y + 4 * task * a.out, a.out)
    index, bad = integers(a.index + 8 * task * a.out, a.out), bytes_(a.bad, a.n)
    for i in range(a.out):
        if 0 <= index[i] < a.size:
            move(x, index[i], y, i)
        else:
            bad[task] = 1


def per_place(move: Function) -> Kernel:
    """Make a kernel of a function (x, place, y, i) that moves a number; bad = 1 where a place is not in its map.

    A task is a map.
    """
    layout = fields("x y index bad n size out")
    return per_task(layout, lambda a: a.n)(named_after(move, _each_place, move=inlined(move)))


@per_place
def add_at(x, place, y, i):
    """x[index] += y, in the order of y."""
    x[place] += y[i]


@per_place
def put_at(x, place, y, i):
    """x[index] = y; the last of several stays."""
    x[place] = y[i]


@per_place
def take_at(x, place, y, i):
    """y = x[index]"""
    y[i] = x[place]


@helper
def add_every(y, row, n, stride):
    """y[i] += row[i * stride]."""
    for i in range(n):
        y[i] += row[i * stride]


@helper
def interleave(dx, phases, pitch, stride):
    """dx[m * stride + phase] = phases[phase, m]."""
    whole = dx.size // stride
    for m in range(whole):
        for phase in range(stride):
            dx[m * stride + phase] = phases[phase * pitch + m]
    for phase in range(dx.size - whole * stride):
        dx[whole * stride + phase] = phases[phase * pitch + whole]


@per_task(fields(f"x y shares coefficient bias channels {_TABLES} {_SCRATCH}"), lambda a: a.n)
def mean_pool(a, task, thread):
    """y = coefficient * share * (sum over the window) + bias; a task is a map.

    First the rows of a window are added up, all columns at once, then the columns of each window.
    """
    columns = integers(a.columns, AXIS * a.taps)
    coefficients, biases = floats(a.coefficient, a.channels), floats(a.bias, a.channels)
    shares = floats(a.shares, a.out_depth * a.out_height * a.out_width)
    sums = floats(a.scratch + 4 * thread * a.scratch_size, a.width)
    coefficient, bias = coefficients[task % a.channels], biases[task % a.channels]
    for o in range(a.out_depth):
        z, planes = meets(a.planes, o)
        for p in range(a.out_height):
            h, rows = meets(a.rows, p)
            sums[:] = 0
            for line in range(planes * rows):
                d, r = line // rows, line % rows
                at = (task * a.depth + z + d * a.plane_step) * a.height + h + r * a.row_step
                add_every(sums, floats(a.x + 4 * at * a.width, a.width), a.width, 1)
            at = (o * a.out_height + p) * a.out_width
            y = floats(a.y + 4 * (task * a.out_depth * a.out_height * a.out_width + at), a.out_width)
            y[:] = 0
            for j in range(a.taps):
                first, stop, start = columns[AXIS * j], columns[AXIS * j + 1], columns[AXIS * j + 2]
                if a.stride == 1:
                    add_every(y[first:stop], sums[start:], stop - first, 1)
                elif a.stride == 2:
                    add_every(y[first:stop], sums[start:], stop - first, 2)
                else:
                    add_every(y[first:stop], sums[start:], stop - first, a.stride)
            share = shares[at : at + a.out_width]
            for q in range(a.out_width):
                y[q] = coefficient * (share[q] * y[q]) + bias


@per_task(fields(f"dx dy shares coefficient channels {_TABLES} {_SCRATCH}"), lambda a: a.n)
def mean_pool_grad(a, task, thread):
    """dx = coefficient * sum over the windows that read it of share * dy; a task is a map.

    Planes and rows of the tables are those of dx, with the windows that they meet.
    """
    columns, coefficients = integers(a.columns, AXIS * a.taps), floats(a.coefficient, a.channels)
    sums = floats(a.scratch + 4 * thread * a.scratch_size, a.out_width)
    pitch, size = (a.width + a.stride - 1) // a.stride, a.out_depth * a.out_height * a.out_width
    phases = floats(a.scratch + 4 * (thread * a.scratch_size + a.out_width), pitch * a.stride)
    coefficient = coefficients[task % a.channels]
    for z in range(a.depth):
        o, planes = meets(a.planes, z)
        for h in range(a.height):
            p, rows = meets(a.rows, h)
            sums[:] = 0
            for line in range(planes * rows):
                d, r = line // rows, line % rows
                at = ((o + d * a.plane_step) * a.out_height + p + r * a.row_step) * a.out_width
                share = floats(a.shares + 4 * at, a.out_width)
                dy = floats(a.dy + 4 * (task * size + at), a.out_width)
                for q in range(a.out_width):
                    sums[q] += share[q] * dy[q]
            for q in range(a.out_width):
                sums[q] *= coefficient
            phases[:] = 0
            for j in range(a.taps):
                first, stop, start = columns[AXIS * j], columns[AXIS * j + 1], columns[AXIS * j + 2]
                add_every(phases[start % a.stride * pitch + start // a.stride :], sums[first:stop], stop - first, 1)
            dx = floats(a.dx + 4 * ((task * a.depth + z) * a.height + h) * a.width, a.width)
            if a.stride == 1:
                dx[:] = phases[: a.width]
            elif a.stride == 2:
                interleave(dx, phases, pitch, 2)
            else:
                interleave(dx, phases, pitch, a.stride)
