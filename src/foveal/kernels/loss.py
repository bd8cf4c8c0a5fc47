"""Softmax with cross-entropy: the loss and its gradient, which is the probabilities minus the target."""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import IMAGES, arguments, fields, floats, integers, kernel, take

# mypy: disable-error-code="no-untyped-def,no-untyped-call"


@kernel(fields("x xs numbers labels loss correct dx dxs n classes"))
def softmax_cross_entropy(args, counter, thread):
    """loss[n] = log sum exp(x[n]) - x[n, t]; correct[n] = whether t has the highest score; dx = (softmax(x) - 1_t) / n.

    labels : int64, one for each image of the data set; numbers : which images these are. A task is a few images.
    """
    a = arguments(args)
    first = IMAGES * take(counter)
    while first < a.n:
        for task in range(first, min(first + IMAGES, a.n)):
            t = integers(a.labels, 1 << 40)[integers(a.numbers, a.n)[task]]
            x, dx = floats(a.x + 4 * task * a.xs, a.classes), floats(a.dx + 4 * task * a.dxs, a.classes)
            best = 0
            for c in range(1, a.classes):
                if x[c] > x[best]:
                    best = c
            total = 0.0
            for c in range(a.classes):
                e = np.exp(np.float64(x[c]) - np.float64(x[best]))
                dx[c] = e
                total += e
            for c in range(a.classes):
                dx[c] = dx[c] / total / a.n
            dx[t] -= 1.0 / a.n
            floats(a.loss, a.n)[task] = np.log(total) + np.float64(x[best]) - np.float64(x[t])
            floats(a.correct, a.n)[task] = best == t
        first = IMAGES * take(counter)
