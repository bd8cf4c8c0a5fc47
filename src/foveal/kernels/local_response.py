"""Local response normalisation: y = x (k + alpha * sum of x^2 over neighbouring channels)^-beta, and its gradient.

A block of the map is spread out on a thread's scratch, so that `step` floats lie between a channel and the next, and
zeros before the first and behind the last one. The sums are then the same few additions of long rows everywhere:

    channels-last maps    segments are pixels, C floats each, with zeros between them; step = 1
    arrays (N, C, H, W)   segments are channels, some places of the map each, with rows of zeros around; step = places
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import apart, floats, inlined
from foveal.kernels.exponential import power
from foveal.kernels.intrinsics import fused, wide_vectors
from foveal.kernels.runs import operands, per_run

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32 = np.float32
_BLOCK = "channels columns pixel block lead pitch step before after scratch scratch_size"
_FORWARD = operands("x y", _BLOCK, "alpha beta k")
_BACKWARD = operands("x dy dx", _BLOCK, "alpha beta k")
GRAIN = 4096  # a float takes some fifty instructions


@apart
def copy(x, y):
    """y = x"""
    wide_vectors()
    for i in range(y.size):
        y[i] = x[i]


@apart
def add(x, y):
    """y += x"""
    wide_vectors()
    for i in range(y.size):
        y[i] += x[i]


@apart
def multiply(a, b, y):
    """y = a b"""
    wide_vectors()
    for i in range(y.size):
        y[i] = a[i] * b[i]


@apart
def normalisers(sums, alpha, beta, k):
    """sums = (k + alpha sums)^-beta"""
    wide_vectors()
    for i in range(sums.size):
        sums[i] = power(fused(alpha, sums[i], k), -beta)


@apart
def steeper_normalisers(sums, steeper, alpha, beta, k):
    """steeper = (k + alpha sums)^-(beta + 1), sums = (k + alpha sums)^-beta"""
    wide_vectors()
    for i in range(sums.size):
        s = fused(alpha, sums[i], k)
        p = power(s, -beta - f32(1))
        steeper[i], sums[i] = p, s * p


@apart
def input_gradient(x, dy, normaliser, sums, slope, dx):
    """dx = dy normaliser - slope x sums"""
    wide_vectors()
    for i in range(dx.size):
        dx[i] = fused(dy[i], normaliser[i], -slope * x[i] * sums[i])


@inlined
def sum_window(a, values, before, after, sums):
    """Let sums = each channel, `before` channels before it and `after` behind it, added up."""
    first, size = a.lead - before * a.step, sums.size
    copy(values[first : first + size], sums)
    for j in range(1, before + after + 1):
        add(values[first + j * a.step : first + j * a.step + size], sums)


@inlined
def forward_block(a, x, y, segments, length, stride, thread):
    """Normalise `segments` segments of `length` floats, `stride` floats from one to the next."""
    size = (segments - 1) * a.pitch + length
    scratch, part = a.scratch + 4 * thread * a.scratch_size, a.scratch_size // 4
    squares, sums = floats(scratch, part), floats(scratch + 4 * part, size)
    for s in range(segments):
        at, values = s * a.pitch, floats(x + 4 * s * stride, length)
        multiply(values, values, squares[a.lead + at : a.lead + at + length])
    sum_window(a, squares, a.before, a.after, sums)
    normalisers(sums, f32(a.alpha), f32(a.beta), f32(a.k))
    for s in range(segments):
        values, result = floats(x + 4 * s * stride, length), floats(y + 4 * s * stride, length)
        multiply(values, sums[s * a.pitch : s * a.pitch + length], result)


@inlined
def backward_block(a, x, dy, dx, segments, length, stride, thread):
    """dx[c] = dy[c] s[c]^-beta - 2 alpha beta x[c] sum of dy x s^-(beta + 1), over the channels whose sums hold c"""
    size = (segments - 1) * a.pitch + length
    scratch, part = a.scratch + 4 * thread * a.scratch_size, a.scratch_size // 4
    squares, sums = floats(scratch, part), floats(scratch + 4 * part, size)
    products, steeper = floats(scratch + 8 * part, part), floats(scratch + 12 * part, size)
    for s in range(segments):
        at, values = s * a.pitch, floats(x + 4 * s * stride, length)
        multiply(values, values, squares[a.lead + at : a.lead + at + length])
    sum_window(a, squares, a.before, a.after, sums)
    steeper_normalisers(sums, steeper, f32(a.alpha), f32(a.beta), f32(a.k))
    for s in range(segments):  # not all at once: the zeros between segments stay zeros, even if a neighbour is NaN
        at, place = s * a.pitch, 4 * s * stride
        product = products[a.lead + at : a.lead + at + length]
        multiply(floats(x + place, length), floats(dy + place, length), product)
        multiply(product, steeper[at : at + length], product)
    sum_window(a, products, a.after, a.before, steeper)
    slope = f32(2 * a.alpha * a.beta)
    for s in range(segments):
        at, place = s * a.pitch, 4 * s * stride
        input_gradient(floats(x + place, length), floats(dy + place, length), sums[at : at + length],
                       steeper[at : at + length], slope, floats(dx + place, length))  # fmt: skip


@per_run(_FORWARD, GRAIN)
def map_forward(a, image, plane, row, thread):
    """y of a row of a channels-last map, `block` pixels at a time."""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    columns = a.size // a.pixel
    for first in range(0, columns, a.block):
        pixels, at = min(a.block, columns - first), 4 * first * a.pixel
        forward_block(a, x + at, y + at, pixels, a.channels, a.pixel, thread)


@per_run(_BACKWARD, GRAIN)
def map_backward(a, image, plane, row, thread):
    """dx of a row of a channels-last map, `block` pixels at a time."""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row)
    dx = a.dx + 4 * (image * a.dx_image + plane * a.dx_plane + row * a.dx_row)
    columns = a.size // a.pixel
    for first in range(0, columns, a.block):
        pixels, at = min(a.block, columns - first), 4 * first * a.pixel
        backward_block(a, x + at, dy + at, dx + at, pixels, a.channels, a.pixel, thread)


@per_run(_FORWARD, GRAIN)
def array_forward(a, image, plane, row, thread):
    """y of some places, `block` at most, in all channels of an array (N, C, *spatial)."""
    length = min(a.block, a.columns - row * a.block)
    x, y = a.x + 4 * (image * a.x_image + row * a.x_row), a.y + 4 * (image * a.y_image + row * a.y_row)
    forward_block(a, x, y, a.channels, length, a.columns, thread)


@per_run(_BACKWARD, GRAIN)
def array_backward(a, image, plane, row, thread):
    """dx of some places, `block` at most, in all channels of an array (N, C, *spatial)."""
    length = min(a.block, a.columns - row * a.block)
    x, dy = a.x + 4 * (image * a.x_image + row * a.x_row), a.dy + 4 * (image * a.dy_image + row * a.dy_row)
    backward_block(a, x, dy, a.dx + 4 * (image * a.dx_image + row * a.dx_row), a.channels, length, a.columns, thread)
