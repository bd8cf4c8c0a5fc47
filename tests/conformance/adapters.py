"""PyTorch's functions in terms of Foveal's: the same arguments, and how far results may be apart.

An adapter takes a module of operations, `foveal.ops` or `foveal.reference`, and the arguments of PyTorch's function,
with arrays for tensors. It returns a `Run`, or raises `NotOffered`. `ADAPTERS` is the table.

|ours - exact| <= gamma_n * size, for n roundings on the way. Where an operation is a sum of products, its size is the
same sum over absolute values, and running the adapter once more gives it; other operations say what theirs is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


class NotOffered(Exception):
    """What PyTorch's function can do and Foveal's does not offer."""


@dataclass
class Run:
    """One call.

    y : its result; backward(dy) : a gradient for each floating-point array among the arguments, None for those that
    Foveal does not differentiate; roundings : n for y and for each gradient; sizes(dy) : likewise, None for sums of
    products; indices : integers that are returned beside y.
    """

    y: Array
    backward: Callable[[Array], tuple[Array | None, ...]]
    roundings: tuple[int, ...]
    sizes: Callable[[Array], tuple[Array, ...]] | None = None
    indices: Array | None = None


def per_axis(value, axes):
    """PyTorch takes an int, or a sequence of one or of as many as there are axes; an empty one is None."""
    if value is None or value == ():
        return None
    return (value,) * axes if isinstance(value, int) else tuple(value) * (axes // len(value) if len(value) == 1 else 1)


def offer(condition, reason):
    if not condition:
        raise NotOffered(reason)


# Convolutions and what is linear


def conv(f, x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    axes = w.ndim - 2
    options = {"stride": per_axis(stride, axes), "dilation": per_axis(dilation, axes), "groups": groups}
    options["padding"] = padding if isinstance(padding, str) else per_axis(padding, axes)
    y = f.correlate(x, w, bias, **options)
    terms = w[0].size, w.size // groups, y.size // len(w)

    def backward(dy):
        return f.correlate_grad(x, w, dy, **options)[: 2 if bias is None else 3]

    return Run(y, backward, tuple(n + 2 for n in (*terms, terms[2])))


def conv_transpose(f, x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    named = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    options = {name: per_axis(value, w.ndim - 2) for name, value in named.items()} | {"groups": groups}
    y = f.conv_transpose(x, w, bias, **options)
    terms = w[:, 0].size // groups, w[0].size, x.size // len(w), y.size // (w.shape[1] * groups)

    def backward(dy):
        return f.conv_transpose_grad(x, w, dy, **options)[: 2 if bias is None else 3]

    return Run(y, backward, tuple(n + 2 for n in terms))


def linear(f, x, w, bias=None):
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = f.affine(rows, w.T, bias).reshape(*x.shape[:-1], len(w))

    def backward(dy):
        dx, dw, db = f.affine_grad(rows, w.T, dy.reshape(len(rows), len(w)))
        return (dx.reshape(x.shape), dw.T, db)[: 2 if bias is None else 3]

    return Run(y, backward, (x.shape[-1] + 2, len(w) + 2, len(rows) + 2, len(rows) + 2))


def unfold(f, x, kernel_size, dilation=1, padding=0, stride=1):
    kernel = per_axis(kernel_size, 2)
    options = {"stride": per_axis(stride, 2), "padding": per_axis(padding, 2), "dilation": per_axis(dilation, 2)}
    rows = f.im2col(x, kernel, **options)
    columns = x.shape[-3] * math.prod(kernel)
    images = x.shape[:-3]
    y = rows.reshape(*images, len(rows) // math.prod(images) if len(rows) else _windows(x, kernel, options), columns)

    def backward(dy):
        return (f.col2im(dy.swapaxes(-1, -2).reshape(rows.shape), x.shape, kernel, **options),)

    return Run(y.swapaxes(-1, -2), backward, (0, math.prod(kernel)))


def _windows(x, kernel, options):
    from foveal.geometry import Window

    return math.prod(Window.resolve(x.shape[2:], kernel, **options).output(x.shape[2:]))


# Pooling


def avg_pool(axes):
    def adapter(
        f, x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
    ):
        offer(divisor_override is None, "divisor_override")
        kernel = per_axis(kernel_size, axes)
        options = {"stride": per_axis(stride, axes), "padding": per_axis(padding, axes)}
        options |= {"rounding": "ceil" if ceil_mode else "floor", "count_padding": count_include_pad}
        y = f.avg_pool(x, kernel, **options)
        n = math.prod(kernel) + 2
        return Run(y, lambda dy: (f.avg_pool_grad(dy, x.shape, kernel, **options),), (n, n))

    return adapter


def max_pool(axes):
    def adapter(
        f, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    ):  # fmt: skip
        kernel = per_axis(kernel_size, axes)
        options = {"stride": per_axis(stride, axes), "padding": per_axis(padding, axes)}
        options |= {"dilation": per_axis(dilation, axes), "rounding": "ceil" if ceil_mode else "floor"}
        alone = f.max_pool(x, kernel, **options)
        y, indices = f.max_pool(x, kernel, return_indices=True, **options)
        np.testing.assert_array_equal(alone, y)

        def backward(dy):
            return (f.max_pool_grad(dy, indices, x.shape, axes=axes),)

        def sizes(dy):
            return np.abs(y), *backward(np.abs(dy))

        return Run(y, backward, (0, math.prod(kernel)), sizes, indices if return_indices else None)

    return adapter


def max_unpool(axes):
    def adapter(f, x, indices, kernel_size, stride=None, padding=0, output_size=None):
        offer(output_size is not None or x.shape != indices.shape, "a guess of output_size")
        y = f.max_unpool(x, indices, x.shape if output_size is None else tuple(output_size), axes=axes)
        return Run(y, lambda dy: (f.max_unpool_grad(dy, indices, axes=axes),), (0, 0))

    return adapter


def adaptive_pool(axes, name):
    """A mean or maximum of equal parts is a pooling that does not overlap, of one part a global one."""
    pool, gradient = {"avg": avg_pool, "max": max_pool}[name](axes), f"global_{name}_pool_grad"

    def adapter(f, x, output_size, return_indices=False):
        spatial, wanted = x.shape[-axes:], per_axis(output_size, axes) or (0,) * axes
        parts = [n if part is None else part for n, part in zip(spatial, wanted, strict=True)]
        offer(all(part and n % part == 0 for n, part in zip(spatial, parts, strict=True)), "parts of unequal size")
        options = {"return_indices": return_indices} if name == "max" else {}
        run = pool(f, x, tuple(n // part for n, part in zip(spatial, parts, strict=True)), **options)
        if set(parts) != {1} or x.ndim < axes + 2:  # a global pooling takes a batch
            return run
        places = ()
        if name == "max":
            run.y, run.indices = f.global_max_pool(x, return_indices=True)
            places = (run.indices,)
        else:
            run.y = f.global_avg_pool(x)
        run.backward = lambda dy: (getattr(f, gradient)(dy, *places, x.shape),)
        return run

    return adapter


# Elementwise


def relu(f, x):
    y = f.relu(x)
    return Run(y, lambda dy: (f.relu_grad(y, dy),), (0, 0), lambda dy: (np.abs(y), np.abs(dy)))


def leaky_relu(f, x, negative_slope=0.01, inplace=False):
    offer(negative_slope >= 0, "a negative slope")
    y = f.leaky_relu(x, negative_slope)
    # The slope is rounded to the arrays' type, and then the product.
    return Run(y, lambda dy: (f.leaky_relu_grad(y, dy, negative_slope),), (2, 2), lambda dy: (np.abs(y), np.abs(dy)))


def sigmoid(f, x):
    y = f.sigmoid(x)
    # 2 ulp are 4 roundings. dx = dy y (1 - y): those of y twice, and three operations.
    return Run(y, lambda dy: (f.sigmoid_grad(y, dy),), (4, 11), lambda dy: (np.abs(y), np.abs(dy) * y))


def tanh(f, x):
    y = f.tanh(x)
    # dx = dy (1 - y^2): the square doubles the 4 roundings of y, and what cancels in 1 - y^2 remains.
    return Run(y, lambda dy: (f.tanh_grad(y, dy),), (4, 11), lambda dy: (np.abs(y), np.abs(dy)))


def softmax(f, x, dim, dtype=None):
    x = _typed(x, dtype, dim)
    y = f.softmax(x, axis=dim)
    classes = x.shape[dim]

    def sizes(dy):
        p, depth = _softmax(x, dim)
        size = p * (1 + depth)  # x - max is rounded, and exp makes an error d of it an error of e^d - 1
        return size, size * (np.abs(dy) + (np.abs(dy) * size).sum(axis=dim, keepdims=True))

    n = classes + 8  # the difference, exp (4), a sum, a quotient
    return Run(y, lambda dy: (f.softmax_grad(y, dy, axis=dim),), (n, 2 * n + classes + 3), sizes)


def log_softmax(f, x, dim, dtype=None):
    x = _typed(x, dtype, dim)
    y = f.log_softmax(x, axis=dim)
    n = x.shape[dim] + 10

    def sizes(dy):
        p, depth = _softmax(x, dim)
        size = depth + math.log(x.shape[dim]) + (p * (1 + depth)).sum(axis=dim, keepdims=True)
        return size, np.abs(dy) + p * (1 + size) * np.abs(dy).sum(axis=dim, keepdims=True)

    return Run(y, lambda dy: (f.log_softmax_grad(y, dy, axis=dim),), (n, 2 * n), sizes)


def _typed(x, dtype, dim):
    offer(x.ndim > 0, "an array without axes")
    offer(x.shape[dim] > 0, "no classes")
    return x if dtype is None else x.astype(str(dtype).removeprefix("torch."))


def _softmax(x, dim):
    """Return the probabilities, and how far each score is below the largest."""
    depth = x.max(axis=dim, keepdims=True).astype(float) - x
    p = np.exp(-depth)
    return p / p.sum(axis=dim, keepdims=True), depth


# Normalisation


def batch_norm(f, x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    offer(x.ndim > 1, "an array without channels")
    scale, shift = (np.full(x.shape[1], v, x.dtype) if a is None else a for a, v in ((weight, 1), (bias, 0)))
    given = {} if training else {"mean": running_mean, "variance": running_var}
    y = f.batch_norm(x, scale, shift, **given, epsilon=eps)
    per_channel = (-1, *(1,) * (x.ndim - 2))
    others = (0, *range(2, x.ndim))

    def backward(dy):
        dx, dscale, dshift = f.batch_norm_grad(x, scale, dy, **given, epsilon=eps)
        optional = ((running_mean, None), (running_var, None), (weight, dscale), (bias, dshift))
        return dx, *(gradient for array, gradient in optional if array is not None)

    def sizes(dy):
        wide = x.astype(float)
        mean = np.abs(wide).mean(axis=others) if training else np.abs(running_mean)
        variance = (wide.var(axis=others) if training else running_var) + eps
        far, deviation = np.abs(wide) + mean.reshape(per_channel), np.sqrt(variance).reshape(per_channel)
        # What cancels in x - mean comes back in the variance: by how much the sum of squares is larger than it.
        lost = 1 + (far**2 / deviation**2).mean(axis=others, keepdims=True) * training
        z, d, w = far / deviation * lost, np.abs(dy), np.abs(scale).reshape(per_channel)
        means = (d.mean(axis=others, keepdims=True) + z * (d * z).mean(axis=others, keepdims=True)) * training
        dx, dscale, dshift = w / deviation * lost * (d + means), (d * z).sum(axis=others), d.sum(axis=others)
        optional = ((running_mean, None), (running_var, None), (weight, dscale), (bias, dshift))
        size = w * z + np.abs(shift).reshape(per_channel)
        return size, dx, *(gradient for array, gradient in optional if array is not None)

    m = x.size // x.shape[1]
    forward = m + 8 if training else 8  # mean, difference, square, sum, epsilon, root, quotient, scale, shift
    return Run(y, backward, (forward, *(3 * forward + 2 * m,) * 5), sizes)


def local_response_norm(f, x, size, alpha=1e-4, beta=0.75, k=1.0):
    turn = slice(None, None, -1 if size % 2 == 0 else 1)  # PyTorch's even windows begin one channel before ours
    options = {"size": size, "alpha": alpha / size, "beta": beta, "k": k}
    y = f.local_response_norm(x[:, turn], **options)[:, turn]

    def backward(dy):
        return (f.local_response_norm_grad(x[:, turn], dy[:, turn], **options)[:, turn],)

    def sizes(dy):
        from foveal import reference

        wide, d = np.abs(x[:, turn], dtype=float), np.abs(dy[:, turn])
        plain = reference.local_response_norm(wide, **options | {"beta": 1.0})
        s = wide / np.where(plain == 0, 1, plain) if wide.size else wide
        s = np.where(plain == 0, k, s)
        power = 1 + beta * (1 + np.abs(np.log(s)).max(initial=0.0))  # the power is exp(beta * log s)
        # dx with a plus for its minus: what x -> -x does to the second term of the formula
        straight = d * s**-beta
        negative = straight - reference.local_response_norm_grad(wide, d, **options)
        return tuple(power * a[:, turn] for a in (wide * s**-beta, straight + negative))

    n = min(size, x.shape[1]) + 8
    return Run(y, backward, (n, 2 * n + 4), sizes)


# Losses


def cross_entropy(
    f, x, t, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0
):
    offer(weight is None, "weights of classes")
    offer(reduction == "mean", f"reduction={reduction!r}")
    offer(ignore_index == -100, "ignore_index")
    classes = x.shape[1]
    scores = np.moveaxis(x, 1, -1).reshape(-1, classes)
    labels = np.moveaxis(t, 1, -1).reshape(-1, classes) if t.ndim == x.ndim else t.reshape(-1)
    sums = labels.sum(axis=-1) if t.ndim == x.ndim else 1.0
    offer(np.allclose(sums, 1, atol=1e-5), "probabilities that do not sum to 1")
    loss = f.cross_entropy(scores, labels, label_smoothing=label_smoothing)

    def placed(rows):
        return np.moveaxis(rows.reshape(x.shape[0], *x.shape[2:], classes), -1, 1)

    def backward(dy):
        gradient = dy * f.cross_entropy_grad(scores, labels, label_smoothing=label_smoothing)
        return (placed(gradient),) if labels.ndim == 1 else (placed(gradient), None)

    def sizes(dy):
        p, depth = _softmax(scores, -1)
        one_hot = np.eye(classes)[labels] if labels.ndim == 1 else labels
        target = (1 - label_smoothing) * one_hot + label_smoothing / classes
        size = depth + math.log(classes) + (p * (1 + depth)).sum(axis=1, keepdims=True)
        dscores = np.abs(dy) * (p * (1 + depth) + target) / len(scores)
        return (target * size).sum() / len(scores), placed(dscores), None

    n = classes + 12
    return Run(np.asarray(loss), backward, (n + len(scores) + classes, n + 3, 0), sizes)


def mse_loss(f, x, t, size_average=None, reduce=None, reduction="mean"):
    offer(x.ndim > 0, "an array without axes")
    offer(reduction in ("mean", "sum"), f"reduction={reduction!r}")
    factor = 2 * len(x) / (x.size if reduction == "mean" else 1)
    loss = factor * f.sum_of_squares(x, t)

    def backward(dy):
        dx = dy * factor * f.sum_of_squares_grad(x, t)
        return dx, -dx

    def sizes(dy):
        error = np.abs(dy) * factor * np.abs(x.astype(float) - t) / len(x)
        return loss, error, error

    return Run(np.asarray(loss), backward, (x.size + 6, 6, 6), sizes)


ADAPTERS: dict[str, Callable[..., Run]] = {
    "log_softmax": log_softmax,
    "nn.functional.batch_norm": batch_norm,
    "nn.functional.cross_entropy": cross_entropy,
    "nn.functional.leaky_relu": leaky_relu,
    "nn.functional.linear": linear,
    "nn.functional.local_response_norm": local_response_norm,
    "nn.functional.mse_loss": mse_loss,
    "nn.functional.relu": relu,
    "nn.functional.unfold": unfold,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "tanh": tanh,
}
for _axes in (1, 2, 3):
    ADAPTERS |= {
        f"nn.functional.adaptive_avg_pool{_axes}d": adaptive_pool(_axes, "avg"),
        f"nn.functional.adaptive_max_pool{_axes}d": adaptive_pool(_axes, "max"),
        f"nn.functional.avg_pool{_axes}d": avg_pool(_axes),
        f"nn.functional.conv{_axes}d": conv,
        f"nn.functional.conv_transpose{_axes}d": conv_transpose,
        f"nn.functional.max_pool{_axes}d": max_pool(_axes),
        f"nn.functional.max_unpool{_axes}d": max_unpool(_axes),
    }
