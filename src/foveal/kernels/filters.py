"""Image kernels: the weighted sum over the neighbourhood of each pixel, on uint8 and float32 images (H, W, channels).

A task is a strip of columns in a band of rows. Input rows become float32 (or int16, if all sums fit) one by one, with
what the edge mode puts around the image, in a ring of as many rows as the image kernel is high; `filtertile.py` adds
them up. So there is no float copy of the image, and the sum of an output pixel has the same order whatever the strips
and bands are.

If the image kernel is a column times a row, an input row is weighed along the row on its way into the ring.
"""

from __future__ import annotations

import numpy as np
from numba.extending import intrinsic

from foveal.kernels.compiler import bytes_, fields, floats, helper, integers
from foveal.kernels.filtertile import QUANTISE, WEIGH
from foveal.kernels.intrinsics import tile_call
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
STRIP = 1152  # samples of a row: a multiple of 1, 2, 3 and 4 channels and of every block of the tile
FINITE = 0x7F800000  # the bits of infinity; as integers, those of finite numbers are below
_IMAGE = "source target item rows columns channels colours factors counts"
_EDGES = "row_index column_index left right"
_TASKS = "bands band_rows strip_columns strips"
_RING = "sample weigh places w taps R block slots ring_row"
_ROW = "weigh_row row_places row_w row_taps row_block"
_SCRATCH = "scratch scratch_size line_at sums_at table_at bytes_at quantise lanes blank"


@intrinsic
def call_weigh(typing, tile, rows, w, T, y, ys, M):
    """Call a weighted sum by its address; the arguments are those of `filtertile.WEIGH`."""
    return tile_call(WEIGH)


@intrinsic
def call_quantise(typing, tile, x, init, y, db, M):
    """Call the way to bytes by its address; the arguments are those of `filtertile.QUANTISE`."""
    return tile_call(QUANTISE)


@helper
def whole(address, size):
    """See memory as int16 values."""
    return bytes_(address, 2 * size).view(np.int16)


@helper
def widen(a, source, target, size):
    """Read samples of the image as those of the sums; return the largest magnitude of a float image, as bits."""
    largest = np.int32(0)
    if a.sample == 2:
        y16, pixels = whole(target, size), bytes_(source, size)
        for i in range(size):
            y16[i] = pixels[i]
    elif a.item == 1:
        y, pixels = floats(target, size), bytes_(source, size)
        for i in range(size):
            y[i] = np.float32(pixels[i])
    else:
        y, x = floats(target, size), floats(source, size)
        magnitude = x.view(np.int32)
        for i in range(size):
            y[i] = x[i]
            largest = max(largest, np.int32(magnitude[i] & np.int32(0x7FFFFFFF)))
    return largest


@helper
def read_pixel(a, row, w, target):
    """target = pixel w of a row, or zeros if w is negative."""
    if w < 0:
        bytes_(target, a.sample * a.channels)[:] = 0
    else:
        widen(a, row + a.item * w * a.channels, target, a.channels)


@helper
def read_row(a, h, first, columns, line, thread):
    """line = row h of the image from column first - left to first + columns + right."""
    channels, row = a.channels, a.source + a.item * h * a.columns * a.channels
    begin, end = first - a.left, first + columns + a.right
    inside, outside = max(begin, 0), min(end, a.columns)
    index = integers(a.column_index, a.left + a.right)
    for w in range(begin, inside):
        read_pixel(a, row, index[w + a.left], line + a.sample * (w - begin) * channels)
    size = (outside - inside) * channels
    largest = widen(a, row + a.item * inside * channels, line + a.sample * (inside - begin) * channels, size)
    for w in range(outside, end):
        read_pixel(a, row, index[w - a.columns + a.left], line + a.sample * (w - begin) * channels)
    counts = integers(a.counts + 64 * thread, 2)
    counts[1] += largest >= FINITE


@helper
def fill(a, p, slot, first, columns, blocks, base, thread):
    """Put row p of the image with its edges into the ring."""
    place = base + a.sample * slot * a.ring_row
    h = integers(a.row_index, p + 1)[p]
    if h < 0:
        bytes_(place, a.sample * a.ring_row)[:] = 0
    elif a.row_taps == 0:
        read_row(a, h, first, columns, place, thread)
    else:
        read_row(a, h, first, columns, base + a.line_at, thread)
        table, places = integers(base + a.table_at, a.row_taps), integers(a.row_places, a.row_taps)
        for t in range(a.row_taps):
            table[t] = base + a.line_at + a.sample * places[t]
        call_weigh(a.weigh_row, base + a.table_at, a.row_w, a.row_taps, place, 0, blocks)


@helper
def add_up(a, oldest, blocks, base):
    """sums = R output rows, out of the ring whose oldest row is in this slot."""
    table, places = integers(base + a.table_at, a.taps), integers(a.places, 2 * a.taps)
    for t in range(a.taps):
        slot = oldest + places[2 * t]
        slot -= a.slots if slot >= a.slots else 0
        table[t] = base + a.sample * (slot * a.ring_row + places[2 * t + 1])
    call_weigh(a.weigh, base + a.table_at, a.w, a.taps, base + a.sums_at, STRIP, blocks)


@helper
def put_blanks(a, sums, begin, end, step):
    """Put what does not count as clipped where no sums are: int16 that the offset makes 0, NaN."""
    for i in range(begin, end, step):
        if a.sample == 2:
            whole(sums, end)[i] = a.blank
        else:
            floats(sums, end)[i] = np.nan


@helper
def write_bytes(a, place, columns, vectors, sums, base, thread):
    """Write one row of a uint8 image."""
    channels, size = a.channels, columns * a.channels
    put_blanks(a, sums, size, vectors * a.lanes, 1)
    if a.colours < channels:
        put_blanks(a, sums, a.colours, size, channels)
    call_quantise(a.quantise, sums, a.factors, base + a.bytes_at, a.counts + 64 * thread, vectors)
    row, made, x = bytes_(a.target + place, size), bytes_(base + a.bytes_at, size), bytes_(a.source + place, size)
    for i in range(size):
        row[i] = made[i]
    if a.colours < channels:
        for w in range(columns):
            row[w * channels + a.colours] = x[w * channels + a.colours]


@helper
def write_floats(a, place, columns, sums):
    """Write one row of a float32 image."""
    channels, size = a.channels, columns * a.channels
    factors = floats(a.factors, 2)
    offset, factor = factors[0], factors[1]
    row, values, x = floats(a.target + 4 * place, size), floats(sums, size), floats(a.source + 4 * place, size)
    for i in range(size):
        row[i] = values[i] * factor + offset
    if a.colours < channels:
        for w in range(columns):
            row[w * channels + a.colours] = x[w * channels + a.colours]


@per_task(fields(f"{_IMAGE} {_EDGES} {_TASKS} {_RING} {_ROW} {_SCRATCH}"), lambda a: a.bands * a.strips)
def filter_image(a, task, thread):
    """target = (image kernel * source) * factor + offset; the channel `colours`, if there is one, is copied.

    A task is a strip of a band.

    item, sample : bytes of a sample of the image (1 uint8, 4 float32), and of a sum (2 int16, 4 float32)
    factors : offset and factor
    row_index, column_index : for each row, and for each column left and right of the image, which one of the image
        stands there; -1 for zeros
    counts : for each thread how many samples were clipped, and how many pieces of rows were not finite
    """
    base = a.scratch + thread * a.scratch_size
    p, first = task // a.strips * a.band_rows, task % a.strips * a.strip_columns
    last, columns = min(p + a.band_rows, a.rows), min(a.strip_columns, a.columns - first)
    size = columns * a.channels
    blocks, row_blocks, vectors = -(-size // a.block), -(-size // a.row_block), -(-size // a.lanes)
    filled, slot, oldest = p, 0, 0
    while p < last:
        while filled < min(p + a.slots, last + a.slots - a.R):
            fill(a, filled, slot, first, columns, row_blocks, base, thread)
            filled, slot = filled + 1, (slot + 1 if slot + 1 < a.slots else 0)
        add_up(a, oldest, blocks, base)
        for r in range(min(a.R, last - p)):
            place = ((p + r) * a.columns + first) * a.channels
            sums = base + a.sums_at + a.sample * r * STRIP
            if a.item == 1:
                write_bytes(a, place, columns, vectors, sums, base, thread)
            else:
                write_floats(a, place, columns, sums)
        p, oldest = p + a.R, (oldest + a.R if oldest + a.R < a.slots else oldest + a.R - a.slots)
