"""Layers as plain loops over numbers that count what is done with them: the oracle of `accounting.operations`.

Every loop computes the real thing, forward and backward, so it can be compared with the reference; counting is a side
effect of the arithmetic of `N`. Nothing here knows a formula for a number of operations.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from foveal import layers as L
from foveal.geometry import Window, per_axis, transposed


@dataclass
class Tally:
    """What was done so far."""

    macs: int = 0
    other: int = 0

    def taken(self):
        """Return both, and begin again."""
        done = self.macs, self.other
        self.macs = self.other = 0
        return done


TALLY = Tally()


class N:
    """A number that counts every operation."""

    __slots__ = ("v",)

    def __init__(self, v):
        self.v = float(v)

    def _with(self, v):
        TALLY.other += 1
        return N(v)

    def __add__(self, o):
        return self._with(self.v + _v(o))

    def __radd__(self, o):
        return self._with(_v(o) + self.v)

    def __sub__(self, o):
        return self._with(self.v - _v(o))

    def __rsub__(self, o):
        return self._with(_v(o) - self.v)

    def __mul__(self, o):
        return self._with(self.v * _v(o))

    def __rmul__(self, o):
        return self._with(_v(o) * self.v)

    def __truediv__(self, o):
        return self._with(self.v / _v(o))

    def __rtruediv__(self, o):
        return self._with(_v(o) / self.v)

    def __neg__(self):
        return self._with(-self.v)

    def __pow__(self, o):
        return self._with(self.v**o)

    def __gt__(self, o):
        TALLY.other += 1
        return self.v > _v(o)

    def exp(self):
        return self._with(math.exp(self.v))

    def tanh(self):
        return self._with(math.tanh(self.v))


def _v(o):
    return o.v if isinstance(o, N) else o


def mac(accumulator, a, b):
    """accumulator + a * b"""
    TALLY.macs += 1
    return N(accumulator.v + a.v * b.v)


def larger(a, b):
    return a if a > b else b


def added(terms):
    """The sum; it begins with the first term."""
    total, *rest = terms
    for term in rest:
        total = total + term
    return total


def numbers(a):
    """An array of N."""
    result = np.empty(np.shape(a), object)
    for i, v in np.ndenumerate(np.asarray(a, np.float64)):
        result[i] = N(v)
    return result


def values(a):
    """The array of floats that an array of N stands for."""
    return np.vectorize(lambda n: n.v, otypes=[float])(a) if np.size(a) else np.zeros(np.shape(a))


def nothing(shape, fill=0.0):
    return numbers(np.full(shape, fill))


def places(*sizes):
    return itertools.product(*(range(n) for n in sizes))


class Windows:
    """A padded map and where its windows lie."""

    def __init__(self, shape, layer, fill=0.0):
        self.spatial = shape[1:]
        padding, dilation = getattr(layer, "padding", 0), getattr(layer, "dilation", 1)
        window = Window.resolve(self.spatial, layer.kernel, layer.stride, padding, dilation)
        self.window = window.fitted(self.spatial, getattr(layer, "rounding", "floor"))
        self.out, self.fill = self.window.output(self.spatial), fill
        self.kernel = self.window.kernel

    def pad(self, x):
        padded = nothing((len(x), *self.window.padded(self.spatial)), self.fill)
        padded[self.inside()] = x
        return padded

    def inside(self):
        axes = zip(self.spatial, self.window.padding, strict=True)
        return (slice(None), *(slice(before, before + n) for n, (before, _) in axes))

    def at(self, position, tap):
        where = zip(position, tap, self.window.stride, self.window.dilation, strict=True)
        return tuple(p * s + t * d for p, t, s, d in where)


def run(layer, xs, p, made):
    """Return y and its backward: dy -> ([dx...], gradients), each a function that does just that part."""
    for kind, loop in LOOPS.items():
        if isinstance(layer, kind):
            return loop(layer, xs if isinstance(layer, L.Add | L.Concat) else xs[0], p, made)
    raise NotImplementedError(type(layer).__name__)


def convolution(layer, x, p, made):
    w, windows = p["weight"], Windows(x.shape, layer)
    padded, group = windows.pad(x), len(x) // layer.groups
    each = layer.filters // layer.groups
    use = [(k, c, position, tap) for k in range(layer.filters) for position in places(*windows.out)
           for c in range(group) for tap in places(*windows.kernel)]  # fmt: skip

    def read(k, c, position, tap):
        return (k // each * group + c, *windows.at(position, tap))

    y = nothing(made)
    for k, c, position, tap in use:
        y[k, *position] = mac(y[k, *position], padded[read(k, c, position, tap)], w[k, c, *tap])
    if layer.use_bias:
        for k, *position in places(*made):
            y[k, *position] = y[k, *position] + p["bias"][k]

    def dx(dy):
        d = nothing(padded.shape)
        for k, c, position, tap in use:
            at = read(k, c, position, tap)
            d[at] = mac(d[at], w[k, c, *tap], dy[k, *position])
        return [d[windows.inside()]]

    def dw(dy):
        d = nothing(w.shape)
        for k, c, position, tap in use:
            d[k, c, *tap] = mac(d[k, c, *tap], padded[read(k, c, position, tap)], dy[k, *position])
        return {"weight": d} | _bias_gradient(layer, dy)

    return y, dx, dw


def _bias_gradient(layer, dy):
    if not layer.use_bias:
        return {}
    db = nothing(len(dy))
    for k, *position in places(*dy.shape):
        db[k] = db[k] + dy[k, *position]
    return {"bias": db}


def transposed_convolution(layer, x, p, made):
    w = p["weight"]
    where = layer.stride, layer.padding, layer.output_padding, layer.dilation
    window, _ = transposed(x.shape[1:], layer.kernel, *where)
    group, each = len(x) // layer.groups, layer.filters // layer.groups
    use = [(c, k, position, tap) for c in range(len(x)) for position in places(*x.shape[1:]) for k in range(each)
           for tap in places(*window.kernel)]  # fmt: skip
    befores = [before for before, _ in window.padding]
    reach = [max(b + n, (m - 1) * s + e) for b, n, m, s, e in
             zip(befores, made[1:], x.shape[1:], window.stride, window.extent, strict=True)]  # fmt: skip
    inside = (slice(None), *(slice(b, b + n) for b, n in zip(befores, made[1:], strict=True)))

    def write(c, k, position, tap):
        where = zip(position, tap, window.stride, window.dilation, strict=True)
        return (c // group * each + k, *(q * s + t * d for q, t, s, d in where))

    whole = nothing((made[0], *reach))
    for c, k, position, tap in use:
        at = write(c, k, position, tap)
        whole[at] = mac(whole[at], x[c, *position], w[c, k, *tap])
    y = whole[inside]
    if layer.use_bias:
        for k, *position in places(*made):
            y[k, *position] = y[k, *position] + p["bias"][k]

    def spread(dy):
        d = nothing(whole.shape)
        d[inside] = dy
        return d

    def dx(dy):
        d, wide = nothing(x.shape), spread(dy)
        for c, k, position, tap in use:
            d[c, *position] = mac(d[c, *position], w[c, k, *tap], wide[write(c, k, position, tap)])
        return [d]

    def dw(dy):
        d, wide = nothing(w.shape), spread(dy)
        for c, k, position, tap in use:
            d[c, k, *tap] = mac(d[c, k, *tap], x[c, *position], wide[write(c, k, position, tap)])
        return {"weight": d} | _bias_gradient(layer, dy)

    return y, dx, dw


def affine(layer, x, p, made):
    flat, w = x.reshape(-1), p["weight"]
    y, use = nothing(made), list(places(*w.shape))
    for i, k in use:
        y[k] = mac(y[k], flat[i], w[i, k])
    if layer.use_bias:
        for k in range(len(y)):
            y[k] = y[k] + p["bias"][k]

    def dx(dy):
        d = nothing(flat.shape)
        for i, k in use:
            d[i] = mac(d[i], w[i, k], dy[k])
        return [d.reshape(x.shape)]

    def dw(dy):
        d = nothing(w.shape)
        for i, k in use:
            d[i, k] = mac(d[i, k], flat[i], dy[k])
        return {"weight": d} | _bias_gradient(layer, dy)

    return y, dx, dw


def subsampling(layer, x, p, made):
    windows, y, sums = Windows(x.shape, layer), nothing(made), nothing(made)
    padded = windows.pad(x)
    for c, *position in places(*made):
        sums[c, *position] = added(padded[c, *windows.at(position, tap)] for tap in places(*windows.kernel))
        y[c, *position] = mac(p["bias"][c], p["coefficient"][c], sums[c, *position])

    def dx(dy):
        d = nothing(padded.shape)
        for c, *position in places(*made):
            g = p["coefficient"][c] * dy[c, *position]
            for tap in places(*windows.kernel):
                at = (c, *windows.at(position, tap))
                d[at] = d[at] + g
        return [d[windows.inside()]]

    def dw(dy):
        dc, db = nothing(len(x)), nothing(len(x))
        for c, *position in places(*made):
            dc[c] = mac(dc[c], dy[c, *position], sums[c, *position])
            db[c] = db[c] + dy[c, *position]
        return {"coefficient": dc, "bias": db}

    return y, dx, dw


def max_pool(layer, x, p, made):
    windows, y, best = Windows(x.shape, layer, -np.inf), nothing(made), {}
    padded = windows.pad(x)
    for c, *position in places(*made):
        first, *rest = [(c, *windows.at(position, tap)) for tap in places(*windows.kernel)]
        for at in rest:
            first = at if padded[at] > padded[first] else first
        best[(c, *position)], y[c, *position] = first, padded[first]

    def dx(dy):
        d = nothing(padded.shape)
        for at, came in best.items():
            d[came] = d[came] + dy[at]
        return [d[windows.inside()]]

    return y, dx, None


def average_pool(layer, x, p, made):
    windows, y = Windows(x.shape, layer), nothing(made)
    padded, cells = windows.pad(x), np.zeros(windows.window.padded(x.shape[1:]))
    cells[windows.inside()[1:]] = 1
    if layer.count_padding:  # what ceil adds behind it does not count
        own = Window.resolve(x.shape[1:], layer.kernel, layer.stride, layer.padding).padded(x.shape[1:])
        cells[tuple(slice(n) for n in own)] = 1
    counts = {}
    for c, *position in places(*made):
        taps = [windows.at(position, tap) for tap in places(*windows.kernel)]
        counts[tuple(position)] = sum(cells[at] for at in taps)
        y[c, *position] = added(padded[c, *at] for at in taps) / counts[tuple(position)]

    def dx(dy):
        d = nothing(padded.shape)
        for c, *position in places(*made):
            g = dy[c, *position] / counts[tuple(position)]
            for tap in places(*windows.kernel):
                at = (c, *windows.at(position, tap))
                d[at] = d[at] + g
        return [d[windows.inside()]]

    return y, dx, None


def global_average(layer, x, p, made):
    flat = x.reshape(len(x), -1)
    y = np.array([added(row) / flat.shape[1] for row in flat]).reshape(made)

    def dx(dy):
        each = [g / flat.shape[1] for g in dy.reshape(-1)]
        return [np.array([[g] * flat.shape[1] for g in each]).reshape(x.shape)]

    return y, dx, None


def global_maximum(layer, x, p, made):
    flat, best = x.reshape(len(x), -1), []
    for row in flat:
        first = 0
        for i in range(1, len(row)):
            first = i if row[i] > row[first] else first
        best.append(first)
    y = np.array([row[i] for row, i in zip(flat, best, strict=True)]).reshape(made)

    def dx(dy):
        d = nothing(flat.shape)
        for c, (i, g) in enumerate(zip(best, dy.reshape(-1), strict=True)):
            d[c, i] = d[c, i] + g
        return [d.reshape(x.shape)]

    return y, dx, None


def batch_norm(layer, x, p, made):
    """Forward with the running statistics, folded into two numbers a channel; backward with those of these numbers."""
    rows = x.reshape(len(x), -1)
    mean, variance, epsilon = values(p["running_mean"]), values(p["running_variance"]), layer.epsilon
    factor = values(p["scale"]) / np.sqrt(variance + epsilon)
    offset = values(p["shift"]) - mean * factor
    y = np.array([[n * factor[c] + offset[c] for n in row] for c, row in enumerate(rows)]).reshape(made)

    own, m = values(rows), rows.shape[1]
    deviation = np.sqrt(own.var(axis=1) + epsilon)
    normal = numbers((own - own.mean(axis=1)[:, None]) / deviation[:, None])  # the forward of training keeps these
    slope = values(p["scale"]) / deviation

    def sums(dy):
        shift, scale, g = nothing(len(x)), nothing(len(x)), dy.reshape(rows.shape)
        for c, i in places(*rows.shape):
            shift[c] = shift[c] + g[c, i]
            scale[c] = scale[c] + g[c, i] * normal[c, i]
        return scale, shift

    def dx(dy, kept):
        d, g = nothing(rows.shape), dy.reshape(rows.shape)
        for c, i in places(*rows.shape):
            d[c, i] = (g[c, i] - (kept["shift"][c] + normal[c, i] * kept["scale"][c]) / m) * slope[c]
        return [d.reshape(x.shape)]

    def dw(dy):
        return dict(zip(("scale", "shift"), sums(dy), strict=True))

    dx.needs_dw = True
    return y, dx, dw


def response_norm(layer, x, p, made):
    channels = len(x)
    before, after = (layer.size - 1) // 2, layer.size // 2
    rows = x.reshape(channels, -1)

    def around(c, before, after):
        return range(max(0, c - before), min(channels - 1, c + after) + 1)

    y, s = nothing(rows.shape), nothing(rows.shape)
    for i in range(rows.shape[1]):
        squares = [row[i] * row[i] for row in rows]
        for c in range(channels):
            s[c, i] = layer.k + layer.alpha * added(squares[j] for j in around(c, before, after))
            y[c, i] = rows[c, i] / s[c, i] ** layer.beta

    def dx(dy):
        g, d = dy.reshape(rows.shape), nothing(rows.shape)
        for i in range(rows.shape[1]):
            shares = [g[c, i] * y[c, i] / s[c, i] for c in range(channels)]
            for c in range(channels):
                passed = g[c, i] * s[c, i] ** -layer.beta
                others = added(shares[j] for j in around(c, after, before))
                d[c, i] = passed - others * rows[c, i] * (2 * layer.alpha * layer.beta)
        return [d.reshape(x.shape)]

    return y.reshape(made), dx, None


def softmax(layer, x, p, made):
    top = x[0]
    for n in x[1:]:
        top = larger(n, top)
    powers = [(n - top).exp() for n in x]
    total = added(powers)
    y = np.array([n / total for n in powers])

    def dx(dy):
        products = [a * g for a, g in zip(y, dy, strict=True)]
        mean = added(products)
        return [np.array([a * (g - mean) for a, g in zip(y, dy, strict=True)])]

    return y, dx, None


def in_place(function, slope):
    """A loop of a function of each number, and of its slope, which knows y."""

    def loop(layer, x, p, made):
        y = np.array([function(layer, n) for n in x.reshape(-1)]).reshape(made)

        def dx(dy):
            pairs = zip(dy.reshape(-1), y.reshape(-1), strict=True)
            return [np.array([slope(layer, g, n) for g, n in pairs]).reshape(x.shape)]

        return y, dx, None

    return loop


A, B = 1.7159, 2 / 3
relu = in_place(lambda _, n: larger(n, N(0)), lambda _, g, n: g if n > 0 else N(0))
leaky_relu = in_place(
    lambda layer, n: larger(n, layer.slope * n), lambda layer, g, n: g * (1.0 if n > 0 else layer.slope)
)
sigmoid = in_place(lambda _, n: 1 / (1 + (-n).exp()), lambda _, g, n: g * n * (1 - n))
tanh = in_place(lambda _, n: n.tanh(), lambda _, g, n: g * (1 - n * n))
scaled_tanh = in_place(lambda _, n: A * (B * n).tanh(), lambda _, g, n: g * (A * B - (B / A) * (n * n)))
dropout = in_place(lambda _, n: n, lambda layer, g, _: g * (1 / (1 - layer.rate)))


def sparse_convolution(layer, x, p, made):
    w, windows = p["weight"], Windows(x.shape, layer)
    padded, links = windows.pad(x), [(k, c) for k, channels in enumerate(layer.table) for c in channels]
    use = [(i, k, c, position, tap) for i, (k, c) in enumerate(links) for position in places(*windows.out)
           for tap in places(*windows.kernel)]  # fmt: skip
    y = nothing(made)
    for i, k, c, position, tap in use:
        y[k, *position] = mac(y[k, *position], padded[c, *windows.at(position, tap)], w[i, *tap])
    if layer.use_bias:
        for k, *position in places(*made):
            y[k, *position] = y[k, *position] + p["bias"][k]

    def dx(dy):
        d = nothing(padded.shape)
        for i, k, c, position, tap in use:
            at = (c, *windows.at(position, tap))
            d[at] = mac(d[at], w[i, *tap], dy[k, *position])
        return [d[windows.inside()]]

    def dw(dy):
        d = nothing(w.shape)
        for i, k, c, position, tap in use:
            d[i, *tap] = mac(d[i, *tap], padded[c, *windows.at(position, tap)], dy[k, *position])
        return {"weight": d} | _bias_gradient(layer, dy)

    return y, dx, dw


def radial_basis(layer, x, p, made):
    codes, y = np.asarray(layer.codes), nothing(made)
    differences = nothing(codes.shape)
    for k, j in places(*codes.shape):
        differences[k, j] = x[j] - codes[k, j]
        y[k] = mac(y[k], differences[k, j], differences[k, j])
    y = np.array([-n for n in y])

    def dx(dy):
        d = nothing(x.shape)
        for k, j in places(*codes.shape):
            d[j] = mac(d[j], dy[k], differences[k, j])
        return [np.array([n * -2.0 for n in d])]

    return y, dx, None


def pad_channels(layer, x, p, made):
    more = nothing((layer.channels - len(x), *x.shape[1:]))
    return np.concatenate([x, more]), lambda dy: [dy[: len(x)]], None


def add(layer, xs, p, made):
    y = nothing(made)
    for i, _ in np.ndenumerate(y):
        y[i] = added(x[i] for x in xs)
    return y, lambda dy: [dy for _ in xs], None


def concat(layer, xs, p, made):
    ends = np.cumsum([len(x) for x in xs])[:-1]
    return np.concatenate(xs), lambda dy: np.split(dy, ends), None


def flatten(layer, x, p, made):
    return x.reshape(made), lambda dy: [dy.reshape(x.shape)], None


LOOPS = {
    L.Convolution: convolution, L.ConvTranspose: transposed_convolution, L.Affine: affine, L.Subsampling: subsampling,
    L.MaxPool: max_pool, L.AvgPool: average_pool, L.GlobalAvgPool: global_average, L.GlobalMaxPool: global_maximum,
    L.BatchNorm: batch_norm, L.LocalResponseNorm: response_norm, L.Softmax: softmax, L.ReLU: relu,
    L.LeakyReLU: leaky_relu, L.Sigmoid: sigmoid, L.Tanh: tanh, L.ScaledTanh: scaled_tanh, L.Dropout: dropout,
    L.Add: add, L.Concat: concat, L.Flatten: flatten, L.PadChannels: pad_channels, L.RadialBasis: radial_basis,
    L.SparseConvolution: sparse_convolution,
}  # fmt: skip


def passes(layer, xs, p, made, dy, needs_dx=True):
    """Run all three passes; return y, dx, gradients, and the tally of each."""
    TALLY.taken()
    y, dx, dw = run(layer, [numbers(x) for x in xs], {k: numbers(v) for k, v in p.items()}, made)
    forward, g = TALLY.taken(), numbers(dy)
    gradients = dw(g) if dw else {}
    parameters = TALLY.taken()
    if not needs_dx:
        return y, None, gradients, (forward, (0, 0), parameters)
    back = dx(g, gradients) if hasattr(dx, "needs_dw") else dx(g)
    return y, back, gradients, (forward, TALLY.taken(), parameters)


def kernel_of(layer, axes):
    return per_axis(layer.kernel, axes, "kernel")
