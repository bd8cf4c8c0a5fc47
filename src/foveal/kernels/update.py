"""The optimizers' update of all parameters in one pass: p, its gradient and its state are read and written once.

The formulas stand in `foveal.training.optimizers`; the coefficients c0, c1, ... are what its classes return for a
step: the learning rate and the weight decay first. A task is a chunk.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels import reduction
from foveal.kernels.compiler import Kernel, fields, floats, helper
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"


@helper
def chunk(a, task):
    """Return the task's part of p, g, m and v; a state that the optimizer lacks is p itself."""
    start, size = reduction.chunk(a, task)
    at = 4 * start
    return floats(a.p + at, size), floats(a.g + at, size), floats(a.m + at, size), floats(a.v + at, size)


_update = per_task(fields("p g m v size", "c0 c1 c2 c3 c4 c5 c6"), reduction.chunks)


@_update
def sgd(a, task, thread):
    """p -= lr (g + decay p)"""
    lr, decay = np.float32(a.c0), np.float32(a.c1)
    p, g, _, _ = chunk(a, task)
    for i in range(p.size):
        p[i] -= lr * (g[i] + decay * p[i])


@_update
def momentum(a, task, thread):
    """m = mu m + g + decay p;  p -= lr m"""
    lr, decay, mu = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2)
    p, g, m, _ = chunk(a, task)
    for i in range(p.size):
        m[i] = mu * m[i] + (g[i] + decay * p[i])
        p[i] -= lr * m[i]


@_update
def nesterov(a, task, thread):
    """g' = g + decay p;  m = mu m + g';  p -= lr (g' + mu m)"""
    lr, decay, mu = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2)
    p, g, m, _ = chunk(a, task)
    for i in range(p.size):
        d = g[i] + decay * p[i]
        m[i] = mu * m[i] + d
        p[i] -= lr * (d + mu * m[i])


@_update
def adagrad(a, task, thread):
    """g' = g + decay p;  m += g'^2;  p -= lr g' / (sqrt(m) + eps)"""
    lr, decay, eps = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2)
    p, g, m, _ = chunk(a, task)
    for i in range(p.size):
        d = g[i] + decay * p[i]
        m[i] += d * d
        p[i] -= lr * d / (np.sqrt(m[i]) + eps)


@_update
def rmsprop(a, task, thread):
    """g' = g + decay p;  m = rho m + (1 - rho) g'^2;  p -= lr g' / (sqrt(m) + eps)"""
    lr, decay, rho, eps = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2), np.float32(a.c3)
    rest = np.float32(1 - a.c2)
    p, g, m, _ = chunk(a, task)
    for i in range(p.size):
        d = g[i] + decay * p[i]
        m[i] = rho * m[i] + rest * (d * d)
        p[i] -= lr * d / (np.sqrt(m[i]) + eps)


@helper
def adam_step(a, task, l2, shrink):
    """m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p = shrink p - (lr/(1-b1^t)) m / (sqrt(v)/sqrt(1-b2^t) + eps)"""
    p, g, m, v = chunk(a, task)
    b1, r1, b2, r2 = np.float32(a.c2), np.float32(1 - a.c2), np.float32(a.c3), np.float32(1 - a.c3)
    rate, root, eps = np.float32(a.c0 / a.c5), np.float32(1 / np.sqrt(a.c6)), np.float32(a.c4)
    for i in range(p.size):
        d = g[i] + l2 * p[i]
        m[i] = b1 * m[i] + r1 * d
        v[i] = b2 * v[i] + r2 * (d * d)
        p[i] = shrink * p[i] - rate * m[i] / (np.sqrt(v[i]) * root + eps)


@_update
def adam(a, task, thread):
    """Adam with the decay added to the gradient."""
    adam_step(a, task, np.float32(a.c1), np.float32(1))


@_update
def adamw(a, task, thread):
    """Adam with the decay apart: p shrinks by 1 - lr decay."""
    adam_step(a, task, np.float32(0), np.float32(1 - a.c0 * a.c1))


@_update
def muon(a, task, thread):
    """m = mu m + g;  p -= lr (g + mu m): of what is no matrix. Of matrices see `orthogonal`."""
    lr, mu = np.float32(a.c0), np.float32(a.c2)
    p, g, m, _ = chunk(a, task)
    for i in range(p.size):
        m[i] = mu * m[i] + g[i]
        p[i] -= lr * (g[i] + mu * m[i])


KERNELS: dict[str, Kernel] = {k.name: k for k in (sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, muon)}
