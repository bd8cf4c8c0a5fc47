"""Batch norm: y = scale z + shift with z = (x - mean) / deviation for each channel, and its gradients.

All is computed in float64, which memory is too slow to notice, and rounded once. The sums of the statistics go over
d = x - origin, origin being the first number of the channel, so that a large mean does not cancel: mean = origin +
mean(d), variance = mean(d^2) - mean(d)^2. What comes after the sums is a few multiply-adds:

    y  = a x + b            a = scale / deviation, b = shift - a mean
    dx = a dy + c x + d     c = -a mean(dy z) / deviation, d = -a mean(dy) - c mean

A ReLU behind it is a floor of y: backward counts dy as 0 where a x + b is not above the floor, so nobody has to write
or read that gradient. Likewise for ReLU of the sum of y and another map, the end of a residual block: forward adds the
other map, and the pass that sums the gradient writes it through ReLU, as the other map's gradient.

Channels-last maps are summed in parts, always the same ones, added up in their order. A table holds a number for each
channel of a pixel, and again for some pixels more, `width` numbers in all, so that the loops along it are long whatever
the number of channels. Of arrays (N, C, *spatial) all numbers of a channel are one task, which measures and changes
them while they are still in the second-level cache.

Sources: Ioffe and Szegedy, arXiv 1502.03167; Chan, Golub and LeVeque, Algorithms for computing the sample variance, The
American Statistician 1983, for the shift by the origin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import carray, float64

from foveal.kernels.compiler import Function, Kernel, apart, fields, floats, helper, inlined, named_after, reordered
from foveal.kernels.intrinsics import f64_pointer, wide_vectors
from foveal.kernels.runs import operands, per_run
from foveal.kernels.tasks import once, per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32, f64 = np.float32, np.float64
begin: Any = None  # names of what a frame calls; `per_part` puts the kernel's own there
one_run: Any = None


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
    """Return a and b of one channel."""
    a = scale / np.sqrt(variance + epsilon)
    return a, shift - a * mean


@inlined
def backward_line(scale, mean, variance, epsilon, mean_dy, mean_dy_z):
    """Return a, c and d of one channel; `mean_dy_z` is mean(dy z)."""
    deviation = np.sqrt(variance + epsilon)
    a = scale / deviation
    c = -a * mean_dy_z / deviation
    return a, c, -a * mean_dy - c * mean


# ---- channels-last maps ----


@apart
def add_moments(x, origin, s, q):
    """s += d, q += d^2 with d = x - origin"""
    wide_vectors()
    for i in range(x.size):
        d = f64(x[i]) - origin[i]
        s[i] += d
        q[i] += d * d


@apart
def add_products(x, dy, mean, a, b, floor, s, q):
    """s += g, q += g (x - mean) with g = dy where a x + b > floor, else 0"""
    wide_vectors()
    for i in range(x.size):
        z = f64(x[i])
        g = 0.0 if a[i] * z + b[i] <= floor else f64(dy[i])
        s[i] += g
        q[i] += g * (z - mean[i])


@apart
def add_products_of_sum(x, y, dy, mean, floor, g, s, q):
    """g = dy where y > floor, else 0; s += g, q += g (x - mean)"""
    wide_vectors()
    for i in range(x.size):
        g[i] = f32(0) if y[i] <= floor else dy[i]
        s[i] += f64(g[i])
        q[i] += f64(g[i]) * (f64(x[i]) - mean[i])


@apart
def normalise(x, a, b, floor, y):
    """y = max(floor, a x + b)"""
    wide_vectors()
    for i in range(y.size):
        z = f32(a[i] * f64(x[i]) + b[i])
        y[i] = floor if z < floor else z


@apart
def normalise_and_add(x, r, a, b, floor, y):
    """y = max(floor, a x + b + r)"""
    wide_vectors()
    for i in range(y.size):
        z = f32(a[i] * f64(x[i]) + b[i] + f64(r[i]))
        y[i] = floor if z < floor else z


@apart
def input_gradient(x, dy, a, b, c, d, floor, dx):
    """dx = a g + c x + d with g = dy where a x + b > floor, else 0"""
    wide_vectors()
    for i in range(dx.size):
        z = f64(x[i])
        g = 0.0 if a[i] * z + b[i] <= floor else f64(dy[i])
        dx[i] = f32(a[i] * g + (c[i] * z + d[i]))


@inlined
def sums_of(a, part):
    """Return the three tables of a part: the origin, the first sum and the second."""
    at = a.sums + 24 * part * a.width
    return doubles(at, a.width), doubles(at + 8 * a.width, a.width), doubles(at + 16 * a.width, a.width)


@inlined
def table(a, row):
    """Return a row of the tables that a loop over the map reads."""
    return doubles(a.tables + 8 * row * a.width, a.width)


@inlined
def repeat(values, channels):
    """Fill a table with its first `channels` numbers."""
    for i in range(channels, values.size):
        values[i] = values[i - channels]


def _one_part(a, part, thread):
    rows, (origin, s, q) = a.n * a.planes * a.rows, sums_of(a, part)
    for i in range(a.width):
        s[i], q[i] = 0.0, 0.0
    begin(a, origin)
    for run in range(rows * part // a.parts, rows * (part + 1) // a.parts):
        image, rest = run // (a.planes * a.rows), run % (a.planes * a.rows)
        one_run(a, image, rest // a.rows, rest % a.rows, origin, s, q)


def per_part(layout: np.dtype[Any], begin: Function) -> Callable[[Function], Kernel]:
    """Make a kernel of a function that adds a run to the sums of a part; a task is a part, always of the same runs."""
    make = per_task(layout, lambda a: a.parts)
    return lambda f: make(named_after(f, _one_part, one_run=inlined(f), begin=inlined(begin)))


def _first_pixel(a, origin):
    first = floats(a.x, a.channels)
    for c in range(a.channels):
        origin[c] = first[c]
    repeat(origin, a.channels)


def _mean(a, origin):
    means = table(a, 0)
    for i in range(a.width):
        origin[i] = means[i]


@per_part(operands("x", "sums parts width channels"), _first_pixel)
def map_moments(a, image, plane, row, origin, s, q):
    """sums[part] = origin, sum of d, sum of d^2, in tables"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    for i in range(0, a.size, a.width):
        add_moments(floats(x + 4 * i, min(a.width, a.size - i)), origin, s, q)


@per_part(operands("x dy", "sums parts width tables", "floor"), _mean)
def map_products(a, image, plane, row, mean, s, q):
    """sums[part] = mean, sum of dy, sum of dy (x - mean), in tables; dy through the floor"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row)
    factor, b = table(a, 1), table(a, 2)
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        add_products(floats(x + 4 * i, n), floats(dy + 4 * i, n), mean, factor, b, a.floor, s, q)


@per_part(operands("x y dy g", "sums parts width tables", "floor"), _mean)
def map_products_of_sum(a, image, plane, row, mean, s, q):
    """g = dy through the floor of y; sums[part] = mean, sum of g, sum of g (x - mean), in tables; g may be dy"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row)
    g = a.g + 4 * (image * a.g_image + plane * a.g_plane + row * a.g_row)
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        add_products_of_sum(floats(x + 4 * i, n), floats(y + 4 * i, n), floats(dy + 4 * i, n), mean, f32(a.floor),
                            floats(g + 4 * i, n), s, q)  # fmt: skip


@inlined
def fold(a):
    """Return both sums of each channel: over all parts and pixels of the tables, in their order."""
    _, s, q = sums_of(a, 0)
    for part in range(a.parts):
        _, more_s, more_q = sums_of(a, part)
        for start in range(0 if part > 0 else a.channels, a.width, a.channels):
            for c in range(a.channels):
                s[c] += more_s[start + c]
                q[c] += more_q[start + c]
    return s, q


@per_task(fields("sums parts width channels n pixels mean variance running_mean running_variance", "momentum"), once)
def map_statistics(a, task, thread):
    """mean and variance of the sums of `map_moments`; the running ones, if there are any, follow. One task."""
    count, (s, q), (origin, _, _) = a.n * a.pixels, fold(a), sums_of(a, 0)
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    for c in range(a.channels):
        mean[c], variance[c] = statistics(origin[c], s[c], q[c], count)
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
    """tables = mean, a, b. One task."""
    scale, shift = floats(a.scale, a.channels), floats(a.shift, a.channels)
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    means, factors, terms = table(a, 0), table(a, 1), table(a, 2)
    for c in range(a.channels):
        means[c] = mean[c]
        factors[c], terms[c] = forward_line(f64(scale[c]), f64(shift[c]), mean[c], variance[c], a.epsilon)
    for row in range(3):
        repeat(table(a, row), a.channels)


@per_task(fields("sums parts width channels n pixels scale mean variance given dscale dshift tables", "epsilon"), once)
def map_gradient_tables(a, task, thread):
    """dscale and dshift of the sums of `map_products`; tables = mean, a, b, c, d. One task.

    Where mean and variance are given, they do not depend on x.
    """
    share = 0.0 if a.given else 1.0 / (a.n * a.pixels)
    (s, q), scale = fold(a), floats(a.scale, a.channels)
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    dscale, dshift = floats(a.dscale, a.channels), floats(a.dshift, a.channels)
    factors, by_x, terms = table(a, 1), table(a, 3), table(a, 4)
    for c in range(a.channels):
        dy_z = q[c] / np.sqrt(variance[c] + a.epsilon)
        dscale[c], dshift[c] = dy_z, s[c]
        factors[c], by_x[c], terms[c] = backward_line(
            f64(scale[c]), mean[c], variance[c], a.epsilon, s[c] * share, dy_z * share
        )
    for row in range(1, 5):
        repeat(table(a, row), a.channels)


@per_run(operands("x y", "width tables", "floor"))
def map_forward(a, image, plane, row, thread):
    """y = max(floor, a x + b); y may be x"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    factor, b = table(a, 1), table(a, 2)
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        normalise(floats(x + 4 * i, n), factor, b, f32(a.floor), floats(y + 4 * i, n))


@per_run(operands("x r y", "width tables", "floor"))
def map_forward_and_add(a, image, plane, row, thread):
    """y = max(floor, a x + b + r); y may be x or r"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    r = a.r + 4 * (image * a.r_image + plane * a.r_plane + row * a.r_row)
    y = a.y + 4 * (image * a.y_image + plane * a.y_plane + row * a.y_row)
    factor, b = table(a, 1), table(a, 2)
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        normalise_and_add(floats(x + 4 * i, n), floats(r + 4 * i, n), factor, b, f32(a.floor), floats(y + 4 * i, n))


@per_run(operands("x dy dx", "width tables", "floor"))
def map_backward(a, image, plane, row, thread):
    """dx = a dy + c x + d, dy through the floor; dx may be dy"""
    x = a.x + 4 * (image * a.x_image + plane * a.x_plane + row * a.x_row)
    dy = a.dy + 4 * (image * a.dy_image + plane * a.dy_plane + row * a.dy_row)
    dx = a.dx + 4 * (image * a.dx_image + plane * a.dx_plane + row * a.dx_row)
    factor, b, c, d = table(a, 1), table(a, 2), table(a, 3), table(a, 4)
    for i in range(0, a.size, a.width):
        n = min(a.width, a.size - i)
        input_gradient(floats(x + 4 * i, n), floats(dy + 4 * i, n), factor, b, c, d, a.floor, floats(dx + 4 * i, n))


# ---- arrays (N, C, *spatial) ----


@reordered
def moments(x, origin):
    """Return the sums of d and d^2 with d = x - origin."""
    wide_vectors()
    s, q = 0.0, 0.0
    for i in range(x.size):
        d = f64(x[i]) - origin
        s += d
        q += d * d
    return s, q


@reordered
def products(x, dy, mean):
    """Return the sums of dy and dy (x - mean)."""
    wide_vectors()
    s, q = 0.0, 0.0
    for i in range(x.size):
        g = f64(dy[i])
        s += g
        q += g * (f64(x[i]) - mean)
    return s, q


@apart
def normalise_channel(x, a, b, y):
    """y = a x + b"""
    wide_vectors()
    for i in range(y.size):
        y[i] = f32(a * f64(x[i]) + b)


@apart
def channel_gradient(x, dy, a, c, d, dx):
    """dx = a dy + c x + d"""
    wide_vectors()
    for i in range(dx.size):
        dx[i] = f32(a * f64(dy[i]) + (c * f64(x[i]) + d))


@inlined
def measure(x, n, channels, size, c):
    """Return mean and variance of channel c."""
    origin = f64(floats(x + 4 * c * size, 1)[0])
    s, q = 0.0, 0.0
    for image in range(n):
        more_s, more_q = moments(floats(x + 4 * (image * channels + c) * size, size), origin)
        s += more_s
        q += more_q
    return statistics(origin, s, q, n * size)


@per_task(fields("x n channels size mean variance"), lambda a: a.channels)
def array_statistics(a, c, thread):
    """mean and variance; a task is a channel."""
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    mean[c], variance[c] = measure(a.x, a.n, a.channels, a.size, c)


@per_task(fields("x y n channels size scale shift mean variance given", "epsilon"), lambda a: a.channels)
def array_forward(a, c, thread):
    """y with the mean and variance that are given, or those of the batch; a task is a channel."""
    mean, variance = doubles(a.mean, a.channels), doubles(a.variance, a.channels)
    scale, shift = doubles(a.scale, a.channels), doubles(a.shift, a.channels)
    if not a.given:
        mean[c], variance[c] = measure(a.x, a.n, a.channels, a.size, c)
    factor, b = forward_line(scale[c], shift[c], mean[c], variance[c], a.epsilon)
    for image in range(a.n):
        at = 4 * (image * a.channels + c) * a.size
        normalise_channel(floats(a.x + at, a.size), factor, b, floats(a.y + at, a.size))


@per_task(fields("x dy dx n channels size scale mean variance given dscale dshift", "epsilon"), lambda a: a.channels)
def array_backward(a, c, thread):
    """dx, dscale and dshift; mean and variance are given and do not depend on x, or they do. A task is a channel."""
    mean, variance, scale = doubles(a.mean, a.channels), doubles(a.variance, a.channels), doubles(a.scale, a.channels)
    dscale, dshift, count = doubles(a.dscale, a.channels), doubles(a.dshift, a.channels), a.n * a.size
    if not a.given:
        mean[c], variance[c] = measure(a.x, a.n, a.channels, a.size, c)
    s, q = 0.0, 0.0
    for image in range(a.n):
        at = 4 * (image * a.channels + c) * a.size
        more_s, more_q = products(floats(a.x + at, a.size), floats(a.dy + at, a.size), mean[c])
        s += more_s
        q += more_q
    dscale[c], dshift[c] = q / np.sqrt(variance[c] + a.epsilon), s
    share = 0.0 if a.given else 1.0 / count
    factor, by_x, d = backward_line(scale[c], mean[c], variance[c], a.epsilon, s * share, dscale[c] * share)
    for image in range(a.n):
        at = 4 * (image * a.channels + c) * a.size
        channel_gradient(floats(a.x + at, a.size), floats(a.dy + at, a.size), factor, by_x, d,
                         floats(a.dx + at, a.size))  # fmt: skip
