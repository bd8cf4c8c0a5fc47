"""The loops of the convolution, 1D to 3D: forward, weight gradient, and the blocks fused with max pooling.

x (N, D, H, W, C) and y (N, O, P, Q, K) are channels-last. A *tap* is a run of neighbouring floats of x that
meets a run of rows of the packed filter: a kernel row of S*C floats, or, with dilation or groups, one pixel of C
floats. The filter is packed in panels of the tile's width: (panel, tap, run, column).
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import arguments, block_pointer, fields, floats, helper, integers
from foveal.kernels.intrinsics import call_outer, call_pool, call_transform, call_unpool, call_winners, call_winograd
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
AHEAD = 1 << 14  # bytes: how far ahead of its use a large map is fetched, at most
HEADER = 128  # floats in front of a thread's scratch: the addresses of the rows in it


@helper
def deal(rows, R):
    """Deal rows out to tiles of at most R, nearly equal: rows of a small tile, small tiles, tiles with a row more."""
    tiles = (rows + R - 1) // R
    small = rows // tiles
    return small, tiles - (rows - small * tiles), rows - small * tiles


@helper
def tile_rows(table, dealt, x, xs, xk, w, wk, taps, T, K, init, i_s, y, ys, floor, tail, ahead=0, soon=0, pace=0,
              N=1, xn=0, yn=0):  # fmt: skip
    """Cover N lines of rows, `dealt` to tiles, the larger ones first. Strides are in floats."""
    size, few, more = dealt
    tile = integers(table, size + 2)
    if more > 0:
        call_outer(tile[size + 1], x, xs, xk, w, wk, taps, T, K, init, i_s, y, ys, floor, tail, ahead, soon, pace,
                   more, N, xn, yn)  # fmt: skip
        done, soon = more * (size + 1), soon + more * T * K * pace
        x, init, y = x + 4 * done * xs, init + 4 * done * i_s, y + 4 * done * ys
    if few > 0:
        call_outer(tile[size], x, xs, xk, w, wk, taps, T, K, init, i_s, y, ys, floor, tail, ahead, soon, pace,
                   few, N, xn, yn)  # fmt: skip


PANELS = "w main last taps last_taps small few more at T K width last_width panels channels lanes edges each"
EDGE = 6  # numbers in `edges` for each end of a row, see `Panels.edges`


@helper
def panel(a, p):
    """Return of panel p: tile table, tap table, byte offset of its filter, first channel, width, valid last lanes."""
    channel = p * a.width
    if p == a.panels - 1:
        tail = a.channels - channel - a.last_width + a.lanes
        return a.last, a.last_taps, a.w + 4 * a.T * a.K * channel, channel, a.last_width, tail
    return a.main, a.taps, a.w + 4 * a.T * a.K * channel, channel, a.width, a.lanes


@helper
def tile_lines(a, p, x, y, ys, floor, tail, row, lines, x_row, y_row):
    """Compute `lines` rows of panel p from row number `row` on; each meets the taps that reach into its map.

    x : the row of the map that the first of them meets, or its transformed patches; x_row : floats from a line to the
    next
    """
    live = integers(a.live, 2 * (row + lines))
    done = 0
    while done < lines:
        first, count, same = live[2 * (row + done)], live[2 * (row + done) + 1], 1
        while done + same < lines and live[2 * (row + done + same)] == first:
            same += 1
        line, to = x + 4 * done * x_row, y + 4 * done * y_row
        if a.transform:
            patch_lines(a, p, line, to, ys, floor, first, count, same, x_row, y_row, tail)
        else:
            direct_lines(a, p, line, to, ys, floor, first, count, same, x_row, y_row, tail)
        done += same


@helper
def direct_lines(a, p, x, y, ys, floor, first, count, lines, x_row, y_row, tail):
    """Compute `lines` rows that meet the same taps: `count` from number `first` of the table on.

    With each row x moves on by `fetch` bytes; if this is not 0, tiles that can fetch what the last tap will soon read.
    """
    table, taps, w, channel, width, _ = panel(a, p)
    if a.edges:
        for side in range(2):
            edge_lines(a, side, p, x, y, ys, floor, first, count, lines, x_row, y_row, tail)
    soon = x + 4 * integers(taps, 2 * (first + count))[2 * (first + count - 1)] + min(a.fetch, AHEAD)
    pace = a.fetch // (max(1, a.few + a.more) * count * a.K) + 1
    tile_rows(table, (a.small, a.few, a.more), x + 4 * a.at * a.xs, a.xs, 1, w, width, taps + 16 * first, count, a.K,
              a.bias + 4 * channel, 0, y + 4 * a.at * ys, ys, floor, tail, a.small * a.xs, soon, pace, lines, x_row,
              y_row)  # fmt: skip


@helper
def edge_lines(a, side, p, x, y, ys, floor, first, count, lines, x_row, y_row, tail):
    """Compute the first or the last tile of `lines` rows, if it has padding to leave out."""
    edge = integers(a.edges + 8 * EDGE * side, EDGE)
    tile, taps, row, at = edge[0], edge[2], edge[4], edge[5]
    if p == a.panels - 1:
        tile, taps = edge[1], edge[3]
    if row > 0:
        _, _, w, channel, width, _ = panel(a, p)
        call_outer(tile, x + 4 * at * a.xs, a.xs, 1, w, width, a.edges + 8 * (taps + 4 * (first // a.each * row)),
                   count // a.each * row, 0, a.bias + 4 * channel, 0, y + 4 * at * ys, ys, floor, tail, 0, 0, 0, 1,
                   lines, x_row, y_row)  # fmt: skip


WINOGRAD = (  # all 0 where sums are direct
    "transform points depth some beside pixel line down reach patch point channel below patch_row patches patches_size"
)


@helper
def patch_lines(a, p, x, y, ys, floor, first, count, lines, x_row, y_row, tail):
    """Compute `lines` rows from the transformed patches x: `few` tiles of `small` pixels, and one up to the end."""
    if a.few > 0:
        add_patches(a, p, x, y, ys, floor, first, count, a.few, lines, x_row, y_row, tail)
    if a.more > 0:
        x, y = x + 4 * a.few * a.beside * a.patch, y + 4 * a.at * ys
        add_patches(a, p, x, y, ys, floor, first, count, 1, lines, x_row, y_row, tail)


@helper
def add_patches(a, p, x, y, ys, floor, first, count, tiles, lines, x_row, y_row, tail):
    """Compute `tiles` tiles in each of `lines` rows, `some` channels at a time, whose filters stay in L1."""
    table, taps, u, channel, width, _ = panel(a, p)
    if a.depth == 1:  # the inner loop goes over kernel rows
        call_winograd(integers(table, 1)[0], x, a.patch, a.point, a.below, u, taps + 16 * first, 1, count,
                      a.bias + 4 * channel, 0, y, ys, floor, tail, tiles, lines, x_row, y_row)  # fmt: skip
        return
    for k in range(0, a.depth, a.some):
        call_winograd(integers(table, 1)[0], x + 4 * k * a.channel, a.patch, a.point, a.channel,
                      u + 4 * k * a.points * width, taps + 16 * first, count, min(a.some, a.depth - k),
                      a.bias + 4 * channel, int(k > 0), y, ys, floor if k + a.some >= a.depth else -np.inf, tail, tiles,
                      lines, x_row, y_row)  # fmt: skip


@helper
def what_tiles_read(a, x, lines, thread):
    """Return where what `lines` rows of outputs meet begins, and how far it is from one row to the next.

    That is x itself, or, in the thread's scratch, the transformed patches of its rows.
    """
    if a.transform == 0:
        return x, a.x_row
    to, rows = a.patches + 4 * thread * a.patches_size, (lines - 1) * a.down + a.reach
    if a.few > 0:
        call_transform(a.transform, x, a.small // a.beside * a.pixel, a.pixel, to, a.patch, a.point, a.depth,
                       a.few * a.beside, rows, a.line, a.patch_row)  # fmt: skip
    if a.more > 0:
        call_transform(a.transform, x + 4 * a.at * a.pixel, a.small // a.beside * a.pixel, a.pixel,
                       to + 4 * a.few * a.beside * a.patch, a.patch, a.point, a.depth, a.beside, rows, a.line,
                       a.patch_row)  # fmt: skip
    return to, a.down * a.patch_row


@per_task(fields("x u transform panels T S points depth width last_width"), lambda a: a.panels * a.T)
def winograd_filters(a, task, thread):
    """The transformed filters of F(m, S), (panel, tap, channel, point, column); a task is a tap of a panel."""
    p, t = task // a.T, task % a.T
    width = a.last_width if p == a.panels - 1 else a.width
    first = a.depth * (p * a.width * a.T + t * width)
    call_transform(a.transform, a.x + 4 * a.S * first, width, a.depth * width, a.u + 4 * a.points * first,
                   a.points * width, width, width, a.depth, 1, 0, 0)  # fmt: skip


_PLACES = "x x_image x_plane x_row xs bias y y_image y_plane y_row ys n planes rows columns block split live fetch"
FORWARD = fields(f"{_PLACES} {PANELS} {WINOGRAD}", "floor")
forward_block = block_pointer(FORWARD)


@helper
def compute_rows(a, n, o, start, first, stop, thread):
    """y[n, o, p, q, :] = max(floor, bias + sum over taps) for a block of output rows of a plane, and some panels."""
    lines = min(a.block, a.rows - start)
    x, x_row = what_tiles_read(a, a.x + 4 * (n * a.x_image + o * a.x_plane + start * a.x_row), lines, thread)
    for p in range(first, stop):
        _, _, _, channel, _, tail = panel(a, p)
        y = a.y + 4 * (n * a.y_image + o * a.y_plane + start * a.y_row + channel)
        tile_lines(a, p, x, y, a.ys, a.floor, tail, o * a.rows + start, lines, x_row, a.y_row)


@helper
def blocks(a):
    """Return how many blocks of output rows a plane has."""
    return (a.rows + a.block - 1) // a.block


@per_task(FORWARD, lambda a: a.n * a.planes * blocks(a) * a.split)
def convolution_forward(a, task, thread):
    """One problem; a task is a block of output rows of a plane, or, of few images, some of its panels."""
    at, group = task // a.split, task % a.split
    plane, start = at // blocks(a), at % blocks(a) * a.block
    first, stop = group * a.panels // a.split, (group + 1) * a.panels // a.split
    compute_rows(a, plane // a.planes, plane % a.planes, start, first, stop, thread)


@per_task(fields("problems count n"), lambda a: a.n)
def convolutions_forward(a, image, thread):
    """Problems that read the same images: what one has read is still in the cache for the next. A task is an image."""
    problems = integers(a.problems, a.count)
    for i in range(a.count):
        one = arguments(forward_block(problems[i]))
        for plane in range(one.planes):
            for start in range(0, one.rows, one.block):
                compute_rows(one, image, plane, start, 0, one.panels, thread)


_POOL = "pool ph sh sw pooled_rows pooled_columns marks marks_image marks_pixel marks_vector scratch scratch_size"


@helper
def pooled_blocks(a):
    """Return how many blocks of pooled rows an image has."""
    return (a.pooled_rows + a.block - 1) // a.block


@per_task(
    fields(
        f"x x_image x_row xs bias y y_image y_row ys n columns block live fetch slots {PANELS} {WINOGRAD} {_POOL}",
        "floor",
    ),
    lambda a: a.n * pooled_blocks(a),
)
def convolution_pool_forward(a, task, thread):
    """Convolution, bias, activation floor and max pooling in one pass; a task is a block of pooled rows of an image.

    Only a few rows of the un-pooled map exist, a ring of `slots` rows in this thread's scratch, in L1: as many as are
    needed for some pooled rows at a time.
    """
    scratch = a.scratch + 4 * thread * a.scratch_size
    ring = integers(scratch, a.ph)  # the addresses of a window's rows, in front of the rows themselves
    together = (a.slots - a.ph) // a.sh + 1
    n, start = task // pooled_blocks(a), task % pooled_blocks(a) * a.block
    stop = min(start + a.block, a.pooled_rows)
    top = start * a.sh
    x, x_row = what_tiles_read(a, a.x + 4 * (n * a.x_image + top * a.x_row), (stop - 1) * a.sh + a.ph - top, thread)
    for p in range(a.panels):
        _, _, _, channel, width, tail = panel(a, p)
        done, q = top, start
        while q < stop:
            count = min(together, stop - q)
            done, needed = max(done, q * a.sh), (q + count - 1) * a.sh + a.ph
            while done < needed:
                slot = done % a.slots
                lines = min(needed - done, a.slots - slot)  # up to where the ring begins again
                y = scratch + 4 * HEADER + 4 * slot * a.columns * width
                tile_lines(a, p, x + 4 * (done - top) * x_row, y, width, -float("inf"), a.lanes, done, lines, x_row,
                           a.columns * width)  # fmt: skip
                done += lines
            for row in range(q, q + count):
                for r in range(a.ph):
                    ring[r] = scratch + 4 * HEADER + 4 * ((row * a.sh + r) % a.slots) * a.columns * width
                pixel = row * a.pooled_columns
                call_pool(a.pool, scratch, width, a.sw * width, a.pooled_columns, width - a.lanes + tail,
                          a.y + 4 * (n * a.y_image + row * a.y_row + channel), a.ys,
                          a.marks + n * a.marks_image + pixel * a.marks_pixel + channel // a.lanes * a.marks_vector,
                          a.marks_pixel, a.floor)  # fmt: skip
            q += count


@helper
def add_weight_gradient(a, x, dy, dw, dys, dy_row, plane, row, column, rows, columns, combination, zeros=0, soon=0,
                        pace=0):  # fmt: skip
    """Add what `columns` pixels of `rows` rows give one (panel, tap) of dw: r = run, k = pixels, taps = rows.

    Only the rows and columns count in which the tap reaches into the map. Meanwhile the tiles fetch what stands from
    address `soon` on, if they are made for it, `pace` bytes further with each pixel.

    zeros : of a tile's width, if dw holds nothing yet; else 0
    """
    table, _, offset, channel, width, tail = panel(a, combination // a.T)
    t = combination % a.T
    live = integers(a.live + 48 * t, 6)
    above, left = max(0, live[2] - row), max(0, live[4] - column)
    rows, columns = min(rows, live[3] - row) - above, min(columns, live[5] - column) - left
    to = dw + offset - a.w + 4 * t * a.K * width
    if plane < live[0] or plane >= live[1] or rows <= 0 or columns <= 0:
        if zeros:
            floats(to, a.K * width)[:] = 0
        return
    start, start_row = (zeros, 0) if zeros else (to, width)
    x, dy = x + 4 * (above * a.x_row + left * a.xs), dy + 4 * (above * dy_row + left * dys)
    x += 4 * integers(a.taps, 2 * a.T)[2 * t]
    tile_rows(table, (a.small, a.few, a.more), x, 1, a.xs, dy + 4 * channel, dys, a.pixel_rows, rows, columns,
              start, start_row, to, width, -float("inf"), tail, a.ahead, soon, pace)  # fmt: skip


_GRADIENT = "x x_image x_row xs dy dy_image dw dw_size db db_size n parts columns block pixel_rows live ahead"


@helper
def add_bias_gradient(a, dy, db, rows, columns, p, zeros):
    """Add the sum over `columns` pixels of `rows` rows of dy for panel p: the weight gradient of an input of ones."""
    _, _, _, channel, width, tail = panel(a, p)
    table = a.one_last if p == a.panels - 1 else a.one_main
    to = db + 4 * channel
    tile_rows(table, (1, 1, 0), a.one, 0, 0, dy + 4 * channel, a.dys, a.one_rows, rows, columns, zeros or to, 0, to,
              width, -float("inf"), tail)  # fmt: skip


@helper
def blocks_of_image(a):
    """Return into how many blocks of pixels an image is cut: some short rows, or a part of a long one."""
    return a.planes * blocks(a) * a.cuts


@helper
def block_of_pixels(a, i):
    """Return of block i of a batch: plane, first row and column, rows and columns, and where its x and dy start."""
    n, rest = i // blocks_of_image(a), i % blocks_of_image(a)
    plane, row, cut = rest // (blocks(a) * a.cuts), rest // a.cuts % blocks(a) * a.block, rest % a.cuts
    column = cut * a.columns // a.cuts
    rows, columns = min(a.block, a.rows - row), (cut + 1) * a.columns // a.cuts - column
    x = a.x + 4 * (n * a.x_image + plane * a.x_plane + row * a.x_row + column * a.xs)
    dy = a.dy + 4 * (n * a.dy_image + plane * a.dy_plane + row * a.dy_row + column * a.dys)
    return plane, row, column, rows, columns, x, dy


@helper
def first_met(a, i):
    """Return what block i meets that the ones before it have not: where in x, how many bytes, and the same of dy."""
    _, _, _, rows, columns, x, dy = block_of_pixels(a, i)
    x += 4 * integers(a.taps, 2 * a.T)[2 * a.T - 2]  # other taps have been met with the rows before
    if a.cuts > 1:
        return x, 4 * columns * a.xs, dy, 4 * columns * a.dys
    return x, 4 * rows * a.x_row, dy, 4 * rows * a.dy_row


_ALONE = "x_plane dy_plane dy_row dys groups planes rows cuts one one_rows one_main one_last zeros"


@per_task(fields(f"{_GRADIENT} {_ALONE} {PANELS}"), lambda a: a.parts * a.groups)
def convolution_weight_gradient(a, task, thread):
    """dw[part] = sum over the part's images of x (correlated with) dy; db[part] = the sum of dy.

    A task is a part of the batch and a group of (panel, tap) combinations; the parts are added up in their order by
    `reduction.sum_parts`, so the result does not depend on who computed which. While a block of pixels, all of it in
    the first-level cache, is multiplied, the next one is fetched.
    """
    part, group, combinations = task // a.groups, task % a.groups, a.panels * a.T
    dw = a.dw + 4 * part * a.dw_size
    first, stop = group * combinations // a.groups, (group + 1) * combinations // a.groups
    begin, end = part * a.n // a.parts * blocks_of_image(a), (part + 1) * a.n // a.parts * blocks_of_image(a)
    if begin == end:  # fewer images than parts
        for c in range(first, stop):
            _, _, offset, _, width, _ = panel(a, c // a.T)
            floats(dw + offset - a.w + 4 * (c % a.T) * a.K * width, a.K * width)[:] = 0
            floats(a.db + 4 * (part * a.db_size + c // a.T * a.width), width)[:] = 0
    for i in range(begin, end):
        plane, row, column, rows, columns, x, dy = block_of_pixels(a, i)
        x_next, x_bytes, dy_next, dy_bytes = first_met(a, min(i + 1, end - 1))
        share = (x_bytes + dy_bytes) // (stop - first) + 1
        pace = share // ((a.few + a.more) * rows * columns) + 1
        zeros = a.zeros if i == begin else 0
        for c in range(first, stop):
            at = share * (c - first)
            soon = dy_next + at if at < dy_bytes else x_next + at - dy_bytes
            if c % a.T == 0:
                add_bias_gradient(a, dy, a.db + 4 * part * a.db_size, rows, columns, c // a.T, zeros)
            add_weight_gradient(a, x, dy, dw, a.dys, a.dy_row, plane, row, column, rows, columns, c, zeros, soon,
                                pace)  # fmt: skip


_UNPOOL = "unpool ph sh sw pooled_rows pooled_columns marks marks_image marks_pixel scratch scratch_size dys"


@per_task(fields(f"{_GRADIENT} dy_pixel {PANELS} {_UNPOOL}"), lambda a: a.parts)
def convolution_pool_weight_gradient(a, part, thread):
    """dw[part] and db[part] straight from the pooled map's gradient; windows do not overlap.

    The un-pooled gradient of a block of rows exists only in this thread's scratch, in L1. A task is a part of the
    batch.
    """
    scratch = a.scratch + 4 * thread * a.scratch_size
    ring = integers(scratch, a.ph)
    row_size = a.columns * a.dys
    dw, db = a.dw + 4 * part * a.dw_size, a.db + 4 * part * a.db_size
    floats(dw, a.dw_size)[:] = 0
    floats(db, a.db_size)[:] = 0
    for n in range(part * a.n // a.parts, (part + 1) * a.n // a.parts):
        for q in range(0, a.pooled_rows, a.block):
            count = min(a.block, a.pooled_rows - q)
            for i in range(count):
                for r in range(a.ph):
                    ring[r] = scratch + 4 * HEADER + 4 * (i * a.sh + r) * row_size
                pixel = (q + i) * a.pooled_columns
                call_unpool(a.unpool, scratch, a.dys, a.sw * a.dys, a.pooled_columns, a.channels,
                            a.dy + 4 * (n * a.dy_image + pixel * a.dy_pixel), a.dy_pixel,
                            a.marks + n * a.marks_image + pixel * a.marks_pixel, a.marks_pixel, db)  # fmt: skip
            x = a.x + 4 * (n * a.x_image + q * a.sh * a.x_row)
            for c in range(a.panels * a.T):
                add_weight_gradient(a, x, scratch + 4 * HEADER, dw, a.dys, row_size, 0, q * a.sh, 0, count * a.sh,
                                    a.columns, c)  # fmt: skip


_WINNERS = "tile_at small_tile at_once sx marks marks_image marks_pixel marks_vector pooled_rows pooled_columns spare"


@per_task(
    fields(f"x x_image x_row xn dy dy_image dy_pixel dw dw_size db db_size n parts {PANELS} {_WINNERS}"),
    lambda a: a.parts,
)
def convolution_winners_weight_gradient(a, part, thread):
    """dw[part] and db[part] of a map of one channel from the pooled map's gradient: of each window only the maximum.

    A vector of channels goes over all windows of an image at a time, with some kernel rows (T of them, of K columns) in
    registers. A task is a part of the batch.
    """
    dw, db = a.dw + 4 * part * a.dw_size, a.db + 4 * part * a.db_size
    floats(dw, a.dw_size)[:] = 0
    floats(db, a.db_size)[:] = 0
    row = a.pooled_columns
    for n in range(part * a.n // a.parts, (part + 1) * a.n // a.parts):
        for p in range(a.panels):
            _, _, offset, channel, width, _ = panel(a, p)
            for column in range(0, width, a.lanes):
                vector = (channel + column) // a.lanes
                for r in range(0, a.T, a.at_once):
                    call_winners(a.tile_at if r + a.at_once <= a.T else a.small_tile,
                                 a.x + 4 * (n * a.x_image + r * a.x_row), a.x_row, a.sx, a.xn,
                                 a.dy + 4 * (n * a.dy_image + channel + column), a.dy_pixel, row * a.dy_pixel,
                                 a.marks + n * a.marks_image + vector * a.marks_vector, a.marks_pixel,
                                 row * a.marks_pixel, dw + offset - a.w + 4 * (r * a.K * width + column), width,
                                 a.K * width, db + 4 * (channel + column) if r == 0 else a.spare, row,
                                 a.pooled_rows)  # fmt: skip


@per_task(
    fields(f"dy dy_image dy_pixel n channels full full_image full_row rows columns clear {_UNPOOL}"), lambda a: a.n
)
def unpool(a, n, thread):
    """The pooled map's gradient spread over the whole map, for all that reads it there; a task is an image."""
    scratch = a.scratch + 4 * thread * a.scratch_size
    ring = integers(scratch, a.ph)
    full = a.full + 4 * n * a.full_image
    if a.clear:
        for h in range(a.rows):
            floats(full + 4 * h * a.full_row, a.columns * a.dys)[:] = 0
    for q in range(a.pooled_rows):
        for r in range(a.ph):
            ring[r] = full + 4 * (q * a.sh + r) * a.full_row
        pixel = q * a.pooled_columns
        call_unpool(a.unpool, scratch, a.dys, a.sw * a.dys, a.pooled_columns, a.channels,
                    a.dy + 4 * (n * a.dy_image + pixel * a.dy_pixel), a.dy_pixel,
                    a.marks + n * a.marks_image + pixel * a.marks_pixel, a.marks_pixel,
                    scratch + 4 * HEADER)  # fmt: skip
