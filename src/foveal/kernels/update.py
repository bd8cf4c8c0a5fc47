"""The optimizers' update of all parameters in one pass: p, its gradient and its state are read and written once.

The formulas stand in `foveal.training.optimizers`; the coefficients c0, c1, ... are what its classes return for a
step: the learning rate and the weight decay first. A task is a chunk.
"""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import Kernel, arguments, fields, floats, helper, kernel, take
from foveal.kernels.reduction import CHUNK

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
_UPDATE = fields("p g m v size", "c0 c1 c2 c3 c4 c5 c6")


@helper
def chunk(a, task):
    """Return the task's part of p, g, m and v; a state that the optimizer lacks is p itself."""
    start = 4 * task * CHUNK
    size = min(CHUNK, a.size - task * CHUNK)
    return floats(a.p + start, size), floats(a.g + start, size), floats(a.m + start, size), floats(a.v + start, size)


@helper
def chunks(a):
    """Return the number of tasks."""
    return (a.size + CHUNK - 1) // CHUNK


@kernel(_UPDATE)
def sgd(args, counter, thread):
    """p -= lr (g + decay p)"""
    a = arguments(args)
    lr, decay = np.float32(a.c0), np.float32(a.c1)
    task = take(counter, chunks(a), thread)
    while task < chunks(a):
        p, g, _, _ = chunk(a, task)
        for i in range(p.size):
            p[i] -= lr * (g[i] + decay * p[i])
        task = take(counter, chunks(a), thread)


@kernel(_UPDATE)
def momentum(args, counter, thread):
    """m = mu m + g + decay p;  p -= lr m"""
    a = arguments(args)
    lr, decay, mu = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2)
    task = take(counter, chunks(a), thread)
    while task < chunks(a):
        p, g, m, _ = chunk(a, task)
        for i in range(p.size):
            m[i] = mu * m[i] + (g[i] + decay * p[i])
            p[i] -= lr * m[i]
        task = take(counter, chunks(a), thread)


@kernel(_UPDATE)
def nesterov(args, counter, thread):
    """g' = g + decay p;  m = mu m + g';  p -= lr (g' + mu m)"""
    a = arguments(args)
    lr, decay, mu = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2)
    task = take(counter, chunks(a), thread)
    while task < chunks(a):
        p, g, m, _ = chunk(a, task)
        for i in range(p.size):
            d = g[i] + decay * p[i]
            m[i] = mu * m[i] + d
            p[i] -= lr * (d + mu * m[i])
        task = take(counter, chunks(a), thread)


@kernel(_UPDATE)
def adagrad(args, counter, thread):
    """g' = g + decay p;  m += g'^2;  p -= lr g' / (sqrt(m) + eps)"""
    a = arguments(args)
    lr, decay, eps = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2)
    task = take(counter, chunks(a), thread)
    while task < chunks(a):
        p, g, m, _ = chunk(a, task)
        for i in range(p.size):
            d = g[i] + decay * p[i]
            m[i] += d * d
            p[i] -= lr * d / (np.sqrt(m[i]) + eps)
        task = take(counter, chunks(a), thread)


@kernel(_UPDATE)
def rmsprop(args, counter, thread):
    """g' = g + decay p;  m = rho m + (1 - rho) g'^2;  p -= lr g' / (sqrt(m) + eps)"""
    a = arguments(args)
    lr, decay, rho, eps = np.float32(a.c0), np.float32(a.c1), np.float32(a.c2), np.float32(a.c3)
    rest = np.float32(1 - a.c2)
    task = take(counter, chunks(a), thread)
    while task < chunks(a):
        p, g, m, _ = chunk(a, task)
        for i in range(p.size):
            d = g[i] + decay * p[i]
            m[i] = rho * m[i] + rest * (d * d)
            p[i] -= lr * d / (np.sqrt(m[i]) + eps)
        task = take(counter, chunks(a), thread)


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


@kernel(_UPDATE)
def adam(args, counter, thread):
    """Adam with the decay added to the gradient."""
    a = arguments(args)
    task = take(counter, chunks(a), thread)
    while task < chunks(a):
        adam_step(a, task, np.float32(a.c1), np.float32(1))
        task = take(counter, chunks(a), thread)


@kernel(_UPDATE)
def adamw(args, counter, thread):
    """Adam with the decay apart: p shrinks by 1 - lr decay."""
    a = arguments(args)
    task = take(counter, chunks(a), thread)
    while task < chunks(a):
        adam_step(a, task, np.float32(0), np.float32(1 - a.c0 * a.c1))
        task = take(counter, chunks(a), thread)


KERNELS: dict[str, Kernel] = {k.name: k for k in (sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw)}
