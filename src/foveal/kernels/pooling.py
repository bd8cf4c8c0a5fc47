"""The loop of all pooling on channels-last maps: maximum and mean, forward and backward, in 1D to 3D.

What an output meets on one axis is a table made once per plan (`reach`): where its taps begin, how many lie in
the map, and the place of the first one in the window. So padding, dilation and windows that hang over an edge are no
case of their own. Along a row, outputs that meet equally many taps at equal distances are a *run*: one call of a tile.
"""

from __future__ import annotations

from numba.extending import intrinsic

from foveal.kernels import pooling_tile
from foveal.kernels.compiler import fields, floats, helper, integers
from foveal.kernels.intrinsics import tile_call
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"


@intrinsic
def call_walk(typing, tile, x, sx, marks, sm, place, sp, y, sy, n, A, R, T, taps, init, db):
    """Call a pooling tile by its address; the arguments are those of `pooling_tile.WALK`."""
    return tile_call(pooling_tile.WALK)


AXIS, RUN = 3, 8  # numbers in a row of `Reach.table` and of `Reach.runs`
_MAPS = "x x_image x_plane x_row x_pixel y y_image y_plane y_row y_pixel n depth height block channels"
_MARKS = "marks marks_image from_plane from_row from_pixel to_plane to_row to_pixel"
WALK = f"{_MAPS} {_MARKS} walk taps init db planes rows runs run_count"


@helper
def walk_row(a, n, d, h, y):
    """Make row h of plane d of image n at `y`, run by run."""
    planes, rows = integers(a.planes + 8 * AXIS * d, AXIS), integers(a.rows + 8 * AXIS * h, AXIS)
    x = a.x + 4 * (n * a.x_image + planes[0] * a.x_plane + rows[0] * a.x_row)
    marks = a.marks + n * a.marks_image + d * a.to_plane + h * a.to_row
    marks += planes[0] * a.from_plane + rows[0] * a.from_row
    for r in range(a.run_count):
        run = integers(a.runs + 8 * RUN * r, RUN)
        first, step, count, start, advance, taps = run[0], run[1], run[2], run[3], run[4], run[5]
        to = y + 4 * first * a.y_pixel
        if planes[1] * rows[1] * taps > 0:
            place, more = planes[2] + rows[2] + run[6], run[7]
            call_walk(a.walk, x + 4 * start * a.x_pixel, advance * a.x_pixel,
                      marks + start * a.from_pixel + first * a.to_pixel, advance * a.from_pixel + step * a.to_pixel,
                      place, more, to, step * a.y_pixel, count, planes[1], rows[1], taps, a.taps, a.init,
                      a.db)  # fmt: skip
        else:  # no window reads these positions
            for i in range(count):
                floats(to + 4 * i * step * a.y_pixel, a.channels)[:] = 0


@helper
def blocks(a):
    """Return how many blocks of rows a plane has."""
    return (a.height + a.block - 1) // a.block


@per_task(fields(WALK), lambda a: a.n * a.depth * blocks(a))
def pool(a, task, thread):
    """y[n, d, h, :] = what the tile makes of its taps in x; a task is a block of rows of a plane."""
    plane, start = task // blocks(a), task % blocks(a) * a.block
    n, d = plane // a.depth, plane % a.depth
    for h in range(start, min(start + a.block, a.height)):
        walk_row(a, n, d, h, a.y + 4 * (n * a.y_image + d * a.y_plane + h * a.y_row))


@per_task(fields(f"dy_pixel width parts gradients sums {WALK}"), lambda a: a.parts)
def coefficient_gradient(a, part, thread):
    """Add up dy * (sum over the window), then dy, for each channel and part of the rows; y is dy.

    A task is a part; `reduction.sum_parts` adds them up in their order.
    """
    sums = a.sums + 4 * thread * a.width * a.channels
    lines = a.n * a.depth * a.height
    to = floats(a.gradients + 8 * part * a.channels, 2 * a.channels)
    to[:] = 0
    dcoefficient, dbias = to[: a.channels], to[a.channels :]
    for line in range(part * lines // a.parts, (part + 1) * lines // a.parts):
        plane, h = line // a.height, line % a.height
        n, d = plane // a.depth, plane % a.depth
        walk_row(a, n, d, h, sums)
        row = a.y + 4 * (n * a.y_image + d * a.y_plane + h * a.y_row)
        for q in range(a.width):
            dy = floats(row + 4 * q * a.dy_pixel, a.channels)
            total = floats(sums + 4 * q * a.channels, a.channels)
            for c in range(a.channels):
                dcoefficient[c] += dy[c] * total[c]
                dbias[c] += dy[c]
