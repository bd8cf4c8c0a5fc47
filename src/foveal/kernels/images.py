"""From the users' arrays into channels-last maps and back: the only copies that a network makes of its input.

Images are read row by row of the data set, in the order a batch asks for, so a shuffled batch is never gathered
first, and uint8 pixels become float32 here. A task is a *segment*: some pixels of a row with all their channels, few
enough to stay in the first-level cache while they change places.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import apart, bytes_, fields, floats, helper, integers
from foveal.kernels.intrinsics import wide_vectors
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
_MAP = "x x_image x_plane x_row x_pixel n channels planes rows columns segment segments_a_task"
_READ = fields(f"source numbers {_MAP}", "scale")


@helper
def place(a, s):
    """Return of segment s: its image, where it begins in the map and in an image of the users' array, its pixels."""
    in_row = (a.columns + a.segment - 1) // a.segment
    line, first = s // in_row, s % in_row * a.segment
    n, row = line // (a.planes * a.rows), line % (a.planes * a.rows)
    start = row // a.rows * a.x_plane + row % a.rows * a.x_row + first * a.x_pixel
    return n, start, row * a.columns + first, min(a.segment, a.columns - first)


def segments(a):
    """Return the number of segments of the whole batch."""
    return a.n * a.planes * a.rows * ((a.columns + a.segment - 1) // a.segment)


@helper
def number(a, n):
    """Return which image of the source is image number `n` of the batch."""
    return integers(a.numbers, a.n)[n] if a.numbers else n


@apart
def convert(values, x, scale):
    """x = scale * values"""
    wide_vectors()
    for w in range(x.size):
        x[w] = np.float32(values[w]) * scale


@helper
def spread(source, x, a, first, pixels, scale):
    """Write `pixels` pixels of one image (C, *spatial), times `scale`, to channels-last memory."""
    size = a.planes * a.rows * a.columns
    if a.x_pixel == 1:
        convert(source[first : first + pixels], x, scale)
        return
    for c in range(a.channels):
        values = source[c * size + first : c * size + first + pixels]
        for w in range(pixels):
            x[w * a.x_pixel + c] = np.float32(values[w]) * scale


def segments_a_task(a):
    """Return how many of them are taken at a time."""
    return a.segments_a_task


@per_task(_READ, segments, segments_a_task)
def read_uint8(a, s, thread):
    """x[i] = scale * source[numbers[i]] for uint8 images (C, *spatial)."""
    size = a.channels * a.planes * a.rows * a.columns
    n, start, at, pixels = place(a, s)
    x = floats(a.x + 4 * (n * a.x_image + start), pixels * a.x_pixel)
    spread(bytes_(a.source + number(a, n) * size, size), x, a, at, pixels, np.float32(a.scale))


@per_task(_READ, segments, segments_a_task)
def read_float32(a, s, thread):
    """x[i] = scale * source[numbers[i]] for float32 images (C, *spatial)."""
    size = a.channels * a.planes * a.rows * a.columns
    n, start, at, pixels = place(a, s)
    x = floats(a.x + 4 * (n * a.x_image + start), pixels * a.x_pixel)
    spread(floats(a.source + 4 * number(a, n) * size, size), x, a, at, pixels, np.float32(a.scale))


@per_task(fields(f"target {_MAP}"), segments, segments_a_task)
def write_float32(a, s, thread):
    """target[i] = x[i], from channels-last memory to (C, *spatial)."""
    size = a.planes * a.rows * a.columns
    n, start, at, pixels = place(a, s)
    x = floats(a.x + 4 * (n * a.x_image + start), pixels * a.x_pixel)
    target = floats(a.target + 4 * n * a.channels * size, a.channels * size)
    if size == 1:
        target[:] = x[: a.channels]
        return
    for c in range(a.channels):
        values = target[c * size + at : c * size + at + pixels]
        for w in range(pixels):
            values[w] = x[w * a.x_pixel + c]
