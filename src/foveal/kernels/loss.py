"""Softmax with cross-entropy: the loss and its gradient, which is the probabilities minus the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from foveal.kernels.compiler import Function, Kernel, fields, floats, inlined, integers, named_after
from foveal.kernels.softmax import exponentials, sum_of
from foveal.kernels.tasks import images, images_a_task, per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
f32, f64 = np.float32, np.float64
_FIELDS = "x xs numbers labels loss correct dx dxs n classes"
spread: Any = None  # name of what the frame calls; `_spreading` puts the kernel's own there


def _cross_entropy(a, image, thread):
    t, smoothing = integers(a.labels, 1 << 40)[integers(a.numbers, a.n)[image]], spread(a)
    x, dx = floats(a.x + 4 * image * a.xs, a.classes), floats(a.dx + 4 * image * a.dxs, a.classes)
    best = 0
    for c in range(1, a.classes):
        if x[c] > x[best]:
            best = c
    exponentials(x, x[best], dx)
    total, every = sum_of(dx), smoothing / a.classes
    spread_out = every * sum_of(x) if smoothing > 0 else 0.0
    right = f64(dx[t]) / total - (1 - smoothing) - every  # in float64: near 0 it keeps its digits
    share, less = f32(1 / (total * a.n)), f32(every / a.n)
    for c in range(a.classes):
        dx[c] = dx[c] * share - less
    dx[t] = right / a.n
    floats(a.loss, a.n)[image] = np.log(total) + x[best] - (1 - smoothing) * x[t] - spread_out
    floats(a.correct, a.n)[image] = best == t


def _spreading(layout: np.dtype[Any]) -> Callable[[Function], Kernel]:
    """Make the kernel of a function that says which share of each label is spread over all classes."""

    make = per_task(layout, images, images_a_task)
    return lambda spread: make(named_after(spread, _cross_entropy, spread=inlined(spread)))


@_spreading(fields(_FIELDS))
def softmax_cross_entropy(a):
    """loss[n] = log sum exp(x[n]) - x[n, t]; correct[n] = whether t has the highest score; dx = (softmax(x) - 1_t) / n.

    labels : int64, one for each image of the data set; numbers : which images these are.
    """
    return 0.0


@_spreading(fields(_FIELDS, "smoothing"))
def smoothed_cross_entropy(a):
    """The same with the target (1 - smoothing) 1_t + smoothing / classes."""
    return a.smoothing
