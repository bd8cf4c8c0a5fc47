"""Batch norm: y = scale z + shift with z = (x - mean) / deviation for each channel, and its gradients.

Sums are the long part, and memory the slow one. The sums of the statistics go over d = x - origin, origin being the
first number of the channel, so that a large mean does not cancel: mean = origin + mean(d), variance = mean(d^2) -
mean(d)^2. Numbers are added up in float32, but never more than LONGEST of them; that sum goes into one in float64. So
a sum of millions is as exact as one number, and costs what float32 costs. What comes after the sums is a few
multiply-adds of differences from m, the mean as float32, which are small also where the numbers are not:

    y  = a (x - m) + b            a = scale / deviation, b = shift - a (mean - m)
    dx = a dy + c (x - m) + d     c = -a mean(dy z) / deviation, d = -a mean(dy) - c (mean - m)

A ReLU behind it is a floor of y: backward counts dy as 0 where a (x - m) + b is not above the floor, so nobody has to
write or read that gradient. Likewise for ReLU of the sum of y and another map, the end of a residual block: forward
adds the other map, and the pass that sums the gradient writes it through ReLU, as the other map's gradient. What the
next residual block gives back through its two branches is added up in the same pass.

Channels-last maps are summed in parts, always the same ones, added up in their order. A table holds a number for each
channel of a pixel, and again for some pixels more, `width` numbers in all, so that the loops along it are long whatever
the number of channels. Of arrays (N, C, *spatial) all numbers of a channel are one task, which measures and changes
them while they are still in the second-level cache.

Sources: Ioffe and Szegedy, arXiv 1502.03167; Chan, Golub and LeVeque, Algorithms for computing the sample variance, The
American Statistician 1983, for the shift by the origin and for sums of sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, float64

from foveal.kernels.compiler import Function, Kernel, apart, fields, floats, helper, inlined, named_after, reordered
from foveal.kernels.intrinsics import STACK, f64_pointer, on_stack, wide_vectors
from foveal.kernels.large import send
from foveal.kernels.runs import operands, per_run
from foveal.kernels.tasks import once, per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32, f64 = np.float32, np.float64
LONGEST = 32  # numbers that are added up in float32
PIECE = 64 * LONGEST  # neighbouring numbers of a channel of an array that are added up in float32, in 64 lanes
begin: Any = None  # names of what a frame calls; `per_part` puts the kernel's own there
add: Any = None


@helper
def doubles(address, size):
    """See memory as float64 values."""
    return carray(f64_pointer(address), size, float64)


@inlined
def statistics(origin, s, q, count):
    """Return mean and variance of what has these sums of d and d^2."""
    d = s / count
    v = q / count - d * d
    return origin + d, 0.0 if v < 0 else v


@inlined
def forward_line(scale, shift, mean, variance, epsilon):
    """Return m, a and b of one channel."""
    a, m = scale / np.sqrt(variance + epsilon), f32(mean)
    return m, f32(a), f32(shift - a * (mean - m))


@inlined
def backward_line(scale, mean, variance, epsilon, mean_dy, mean_dy_z):
    """Return a, c and d of one channel; `mean_dy_z` is mean(dy z)."""
    deviation = np.sqrt(variance + epsilon)
    a = scale / deviation
    c = -a * mean_dy_z / deviation
    return f32(a), f32(c), f32(-a * mean_dy - c * (mean - f32(mean)))


@inlined
def dy_by_z(s, q, mean, variance, epsilon):
    """Return the sum of dy z of one channel from the sums of dy and dy (x - m)."""
    return (q - (mean - f32(mean)) * s) / np.sqrt(variance + epsilon)


# ---- channels-last maps ----


@apart
def add_moments(x, origin, s, q):
    """s += d, q += d^2 with d = x - origin"""
    wide_vectors()
    for i in range(x.size):
        d = x[i] - origin[i]
        s[i] += d
        q[i] += d * d


@apart
def add_products(x, dy, mean, a, b, floor, s, q):
    """s += g, q += g d with d = x - mean, and g = dy where a d + b > floor, else 0"""
    wide_vectors()
    for i in range(x.size):
        d = x[i] - mean[i]
        g = f32(0) if a[i] * d + b[i] <= floor else dy[i]
        s[i] += g
        q[i] += g * d


@apart
def add_products_of_sum(x, y, dy, mean, floor, g, s, q):
    """g = dy where y > floor, else 0; s += g, q += g (x - mean)"""
    wide_vectors()
    for i in range(x.size):
        gi = f32(0) if y[i] <= floor else dy[i]
        g[i] = gi
        s[i] += gi
        q[i] += gi * (x[i] - mean[i])


@apart
def add_products_of_two(x, y, dy, more, mean, floor, g, s, q):
    """g = dy + more where y > floor, else 0; s += g, q += g (x - mean)"""
    wide_vectors()
    for i in range(x.size):
        gi = f32(0) if y[i] <= floor else dy[i] + more[i]
        g[i] = gi
        s[i] += gi
        q[i] += gi * (x[i] - mean[i])


@apart
def normalise(x, mean, a, b, floor, y):
    """y = max(floor, a (x - mean) + b)"""
    wide_vectors()
    for i in range(y.size):
        z = a[i] * (x[i] - mean[i]) + b[i]
        y[i] = floor if z < floor else z


@apart
def normalise_and_add(x, r, mean, a, b, floor, y):
    """y = max(floor, a (x - mean) + b + r)"""
    wide_vectors()
    for i in range(y.size):
        z = a[i] * (x[i] - mean[i]) + b[i] + r[i]
        y[i] = floor if z < floor else z


@apart
def input_gradient(x, dy, mean, a, b, c, d, floor, dx):
    """dx = a g + c (x - mean) + d with g = dy where a (x - mean) + b > floor, else 0"""
    wide_vectors()
    for i in range(dx.size):
        z = x[i] - mean[i]
        g = f32(0) if a[i] * z + b[i] <= floor else dy[i]
        dx[i] = a[i] * g + (c[i] * z + d[i])


@apart
def settle(partial, sums):
    """sums[c] += the partial sums of channel c, which become 0."""
    wide_vectors()
    for start in range(0, partial.size, sums.size):
        for c in range(sums.size):
            sums[c] += f64(partial[start + c])
            partial[start + c] = f32(0)


@inlined
def sums_of(a, part):
    """Return both sums of each channel of a part."""
    at = a.sums + 16 * part * a.channels
    return doubles(at, a.channels), doubles(at + 8 * a.channels, a.channels)


@inlined
def partial_of(a, part):
    """Return the tables of a part: the origin, and both sums of the last few numbers."""
    at = a.partial + 12 * part * a.width
    return floats(at, a.width), floats(at + 4 * a.width, a.width), floats(at + 8 * a.width, a.width)


@inlined
def table(a, row):
    """Return a row of the tables that a loop over the map reads."""
    return floats(a.tables + 4 * row * a.width, a.width)


@inlined
def repeat(values, channels):
    """Fill a table with its first `channels` numbers."""
    for i in range(channels, values.size):
        values[i] = values[i - channels]


def _one_part(a, part, thread):
    rows, (total_s, total_q), (origin, s, q) = a.n * a.planes * a.rows, sums_of(a, part), partial_of(a, part)
    total_s[:], total_q[:], s[:], q[:], added = 0.0, 0.0, f32(0), f32(0), 0
    begin(a, origin)
    for run in range(rows * part // a.parts, rows * (part + 1) // a.parts):
        image, rest = run // (a.planes * a.rows), run % (a.planes * a.rows)
        for i in range(0, a.size, a.width):
            add(a, image, rest // a.rows, rest % a.rows, i, min(a.width, a.size - i), origin, s, q)
            added += 1
            if added % LONGEST == 0:
                settle(s, total_s)
                settle(q, total_q)
    settle(s, total_s)
    settle(q, total_q)


def per_part(layout: np.dtype[Any], begin: Function) -> Callable[[Function], Kernel]:
    """Make a kernel of a function that adds a piece of a run to the sums of a part.

    A piece is as long as the tables, or the end of the run. A task is a part, always of the same runs.
    """
    make = per_task(layout, lambda a: a.parts)
    return lambda f: make(named_after(f, _one_part, add=inlined(f), begin=inlined(begin)))


def _first_pixel(a, origin):
    origin[: a.channels] = floats(a.x, a.channels)
    repeat(origin, a.channels)


def _mean(a, origin):
    origin[:] = table(a, 0)


@per_part(operands("x", "sums partial parts width channels"), _first_pixel)
def map_moments(a, image, plane, row, i, n, origin, s, q):
    """sums[part] = sum of d, sum of d^2"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row + i)
    add_moments(floats(x, n), origin, s, q)


@per_part(operands("x dy", "sums partial parts width channels tables", "floor"), _mean)
def map_products(a, image, plane, row, i, n, mean, s, q):
    """sums[part] = sum of dy, sum of dy (x - mean); dy through the floor"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row + i)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row + i)
    add_products(floats(x, n), floats(dy, n), mean, table(a, 1), table(a, 2), f32(a.floor), s, q)


@per_part(operands("x y dy g", "sums partial parts width channels tables", "floor"), _mean)
def map_products_of_sum(a, image, plane, row, i, n, mean, s, q):
    """g = dy through the floor of y; sums[part] = sum of g, sum of g (x - mean); g may be dy"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row + i)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row + i)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row + i)
    g = a.g + 4 * (image * a.g_image + plane * a.g_plane + row * a.g_row + i)
    add_products_of_sum(floats(x, n), floats(y, n), floats(dy, n), mean, f32(a.floor), floats(g, n), s, q)


@per_part(operands("x y dy more g", "sums partial parts width channels tables", "floor"), _mean)
def map_products_of_two(a, image, plane, row, i, n, mean, s, q):
    """`map_products_of_sum` of dy + more; g may be one of them"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row + i)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row + i)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row + i)
    more = a.more + 4 * (image * a.more_image + plane * a.more_plane + row * a.more_row + i)
    g = a.g + 4 * (image * a.g_image + plane * a.g_plane + row * a.g_row + i)
    add_products_of_two(floats(x, n), floats(y, n), floats(dy, n), floats(more, n), mean, f32(a.floor), floats(g, n),
                        s, q)  # fmt: skip


@inlined
def fold(a):
    """Return both sums of each channel: over all parts, in their order."""
    s, q = sums_of(a, 0)
    for part in range(1, a.parts):
        more_s, more_q = sums_of(a, part)
        for c in range(a.channels):
            s[c] += more_s[c]
            q[c] += more_q[c]
    return s, q


@per_task(fields("x sums parts channels n pixels mean variance running_mean running_variance", "momentum"), once)
def map_statistics(a, task, thread):
    """mean and variance of the sums of `map_moments`; the running ones, if there are any, follow. One task."""
    count, (s, q), origin = a.n * a.pixels, fold(a), floats(a.x, a.channels)
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    for c in range(a.channels):
        mean[c], variance[c] = statistics(f64(origin[c]), s[c], q[c], count)
    if a.running_mean:
        running_mean, running_variance = floats(a.running_mean, a.channels), floats(a.running_variance, a.channels)
        for c in range(a.channels):
            sample = variance[c] * count / max(count - 1, 1)
            running_mean[c] += a.momentum * (mean[c] - running_mean[c])
            running_variance[c] += a.momentum * (sample - running_variance[c])


@per_task(fields("channels mean variance running_mean running_variance"), once)
def map_running_statistics(a, task, thread):
    """mean and variance are the running ones. One task."""
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    for c in range(a.channels):
        mean[c] = floats(a.running_mean, a.channels)[c]
        variance[c] = floats(a.running_variance, a.channels)[c]


@per_task(fields("width channels scale shift mean variance tables", "epsilon"), once)
def map_tables(a, task, thread):
    """tables = m, a, b. One task."""
    scale, shift = floats(a.scale, a.channels), floats(a.shift, a.channels)
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    means, factors, terms = table(a, 0), table(a, 1), table(a, 2)
    for c in range(a.channels):
        line = forward_line(f64(scale[c]), f64(shift[c]), mean[c], variance[c], a.epsilon)
        means[c], factors[c], terms[c] = line
    for row in range(3):
        repeat(table(a, row), a.channels)


@per_task(fields("sums parts width channels n pixels scale mean variance given dscale dshift tables", "epsilon"), once)
def map_gradient_tables(a, task, thread):
    """dscale and dshift of the sums of `map_products`; tables = m, a, b, c, d. One task.

    Where mean and variance are given, they do not depend on x.
    """
    share = 0.0 if a.given else 1.0 / (a.n * a.pixels)
    (s, q), scale = fold(a), floats(a.scale, a.channels)
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    dscale, dshift = floats(a.dscale, a.channels), floats(a.dshift, a.channels)
    factors, by_x, terms = table(a, 1), table(a, 3), table(a, 4)
    for c in range(a.channels):
        dy_z = dy_by_z(s[c], q[c], mean[c], variance[c], a.epsilon)
        dscale[c], dshift[c] = dy_z, s[c]
        factors[c], by_x[c], terms[c] = backward_line(
            f64(scale[c]), mean[c], variance[c], a.epsilon, s[c] * share, dy_z * share
        )
    for row in range(1, 5):
        repeat(table(a, row), a.channels)


@per_run(operands("x y", "width tables past", "floor"))
def map_forward(a, image, plane, row, thread):
    """y = max(floor, a (x - m) + b); y may be x"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    mean, factor, b, stack = table(a, 0), table(a, 1), table(a, 2), on_stack()
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        to = stack if a.past else y + 4 * i
        normalise(floats(x + 4 * i, n), mean, factor, b, f32(a.floor), floats(to, n))
        send(to, y + 4 * i, n)


@per_run(operands("x r y", "width tables past", "floor"))
def map_forward_and_add(a, image, plane, row, thread):
    """y = max(floor, a (x - m) + b + r); y may be x or r"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    r = a.r + 4 * (image * a.r_image + plane * a.r_plane + row * a.r_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    mean, factor, b, stack = table(a, 0), table(a, 1), table(a, 2), on_stack()
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        to = stack if a.past else y + 4 * i
        normalise_and_add(floats(x + 4 * i, n), floats(r + 4 * i, n), mean, factor, b, f32(a.floor), floats(to, n))
        send(to, y + 4 * i, n)


@per_run(operands("x dy dx", "width tables past", "floor"))
def map_backward(a, image, plane, row, thread):
    """dx = a dy + c (x - m) + d, dy through the floor; dx may be dy"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row)
    dx = a.dx + 4 * (image * a.dx_image + plane * a.dx_plane + row * a.dx_row)
    mean, factor, b, c, d, stack = table(a, 0), table(a, 1), table(a, 2), table(a, 3), table(a, 4), on_stack()
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        to = stack if a.past else dx + 4 * i
        input_gradient(floats(x + 4 * i, n), floats(dy + 4 * i, n), mean, factor, b, c, d, f32(a.floor), floats(to, n))
        send(to, dx + 4 * i, n)


# ---- arrays (N, C, *spatial) ----


@reordered
def add_up_moments(x, origin):
    """Return the sums of d and d^2 with d = x - origin, of some numbers."""
    wide_vectors()
    s, q = f32(0), f32(0)
    for i in range(x.size):
        d = x[i] - origin
        s += d
        q += d * d
    return s, q


@reordered
def add_up_products(x, dy, mean):
    """Return the sums of dy and dy (x - mean), of some numbers."""
    wide_vectors()
    s, q = f32(0), f32(0)
    for i in range(x.size):
        s += dy[i]
        q += dy[i] * (x[i] - mean)
    return s, q


@apart
def normalise_channel(x, mean, a, b, y):
    """y = a (x - mean) + b"""
    wide_vectors()
    for i in range(y.size):
        y[i] = a * (x[i] - mean) + b


@apart
def channel_gradient(x, dy, mean, a, c, d, dx):
    """dx = a dy + c (x - mean) + d"""
    wide_vectors()
    for i in range(dx.size):
        dx[i] = a * dy[i] + (c * (x[i] - mean) + d)


@inlined
def measure(x, n, channels, size, c):
    """Return mean and variance of channel c."""
    origin, s, q = floats(x + 4 * c * size, 1)[0], 0.0, 0.0
    for image in range(n):
        at = x + 4 * (image * channels + c) * size
        for i in range(0, size, PIECE):
            more_s, more_q = add_up_moments(floats(at + 4 * i, min(PIECE, size - i)), origin)
            s += f64(more_s)
            q += f64(more_q)
    return statistics(f64(origin), s, q, n * size)


@per_task(fields("x n channels size mean variance"), lambda a: a.channels)
def array_statistics(a, c, thread):
    """mean and variance; a task is a channel."""
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    mean[c], variance[c] = measure(a.x, a.n, a.channels, a.size, c)


@per_task(fields("x y n channels size scale shift mean variance given past", "epsilon"), lambda a: a.channels)
def array_forward(a, c, thread):
    """y with the mean and variance that are given, or those of the batch; a task is a channel."""
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    scale, shift = doubles(a.scale, a.channels), doubles(a.shift, a.channels)
    if not a.given:
        mean[c], variance[c] = measure(a.x, a.n, a.channels, a.size, c)
    m, factor, b = forward_line(scale[c], shift[c], mean[c], variance[c], a.epsilon)
    stack = on_stack()
    for image in range(a.n):
        start = 4 * (image * a.channels + c) * a.size
        for i in range(0, a.size, STACK):
            at, n = start + 4 * i, min(STACK, a.size - i)
            to = stack if a.past else a.y + at
            normalise_channel(floats(a.x + at, n), m, factor, b, floats(to, n))
            send(to, a.y + at, n)


@per_task(
    fields("x dy dx n channels size scale mean variance given dscale dshift past", "epsilon"), lambda a: a.channels
)
def array_backward(a, c, thread):
    """dx, dscale and dshift; mean and variance are given and do not depend on x, or they do. A task is a channel."""
    mean, variance, scale = doubles(a.mean, a.channels), doubles(a.variance, a.channels), doubles(a.scale, a.channels)
    dscale, dshift, count = doubles(a.dscale, a.channels), doubles(a.dshift, a.channels), a.n * a.size
    if not a.given:
        mean[c], variance[c] = measure(a.x, a.n, a.channels, a.size, c)
    m, s, q = f32(mean[c]), 0.0, 0.0
    for image in range(a.n):
        at = 4 * (image * a.channels + c) * a.size
        for i in range(0, a.size, PIECE):
            n = min(PIECE, a.size - i)
            more_s, more_q = add_up_products(floats(a.x + at + 4 * i, n), floats(a.dy + at + 4 * i, n), m)
            s += f64(more_s)
            q += f64(more_q)
    dscale[c], dshift[c] = dy_by_z(s, q, mean[c], variance[c], a.epsilon), s
    share = 0.0 if a.given else 1.0 / count
    factor, by_x, d = backward_line(scale[c], mean[c], variance[c], a.epsilon, s * share, dscale[c] * share)
    stack = on_stack()
    for image in range(a.n):
        start = 4 * (image * a.channels + c) * a.size
        for i in range(0, a.size, STACK):
            at, n = start + 4 * i, min(STACK, a.size - i)
            to = stack if a.past else a.dx + at
            channel_gradient(floats(a.x + at, n), floats(a.dy + at, n), m, factor, by_x, d, floats(to, n))
            send(to, a.dx + at, n)
