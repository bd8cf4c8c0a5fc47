"""The optimizers' update of all parameters in one pass: p, its gradient and its state are read and written once.

The formulas stand in `foveal.training.optimizers`, and here as loops over p, its gradient g and its states m and v; a
state that the optimizer lacks is p itself. The coefficients c are what its classes return for a step: the learning rate
and the weight decay first. A task is a chunk.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from foveal.kernels import reduction
from foveal.kernels.compiler import Kernel, fields, floats, helper, named_after, rounded
from foveal.kernels.intrinsics import wide_vectors
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
COEFFICIENTS = "c0 c1 c2 c3 c4 c5 c6"
formula: Any = None  # a name in frames; `named_after` puts one of the formulas there


@helper
def coefficients(a, decays):
    """Return all of them, the second one 0 unless what they are for decays; an optimizer reads the first ones."""
    return a.c0, a.c1 * decays, a.c2, a.c3, a.c4, a.c5, a.c6


def sgd(p, g, m, v, c):
    """p -= lr (g + decay p)"""
    lr, decay = np.float32(c[0]), np.float32(c[1])
    wide_vectors()
    for i in range(p.size):
        p[i] -= lr * (g[i] + decay * p[i])


def momentum(p, g, m, v, c):
    """m = mu m + g + decay p;  p -= lr m"""
    lr, decay, mu = np.float32(c[0]), np.float32(c[1]), np.float32(c[2])
    wide_vectors()
    for i in range(p.size):
        m[i] = mu * m[i] + (g[i] + decay * p[i])
        p[i] -= lr * m[i]


def nesterov(p, g, m, v, c):
    """g' = g + decay p;  m = mu m + g';  p -= lr (g' + mu m)"""
    lr, decay, mu = np.float32(c[0]), np.float32(c[1]), np.float32(c[2])
    wide_vectors()
    for i in range(p.size):
        d = g[i] + decay * p[i]
        m[i] = mu * m[i] + d
        p[i] -= lr * (d + mu * m[i])


def adagrad(p, g, m, v, c):
    """g' = g + decay p;  m += g'^2;  p -= lr g' / (sqrt(m) + eps)"""
    lr, decay, eps = np.float32(c[0]), np.float32(c[1]), np.float32(c[2])
    wide_vectors()
    for i in range(p.size):
        d = g[i] + decay * p[i]
        m[i] += d * d
        p[i] -= lr * d / (np.sqrt(m[i]) + eps)


def rmsprop(p, g, m, v, c):
    """g' = g + decay p;  m = rho m + (1 - rho) g'^2;  p -= lr g' / (sqrt(m) + eps)"""
    lr, decay, rho, eps = np.float32(c[0]), np.float32(c[1]), np.float32(c[2]), np.float32(c[3])
    rest = np.float32(1 - c[2])
    wide_vectors()
    for i in range(p.size):
        d = g[i] + decay * p[i]
        m[i] = rho * m[i] + rest * (d * d)
        p[i] -= lr * d / (np.sqrt(m[i]) + eps)


@rounded
def adam_step(p, g, m, v, c, l2, shrink):
    """m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p = shrink p - (lr/(1-b1^t)) m / (sqrt(v)/sqrt(1-b2^t) + eps)"""
    b1, r1, b2, r2 = np.float32(c[2]), np.float32(1 - c[2]), np.float32(c[3]), np.float32(1 - c[3])
    rate, root, eps = np.float32(c[0] / c[5]), np.float32(1 / np.sqrt(c[6])), np.float32(c[4])
    wide_vectors()
    for i in range(p.size):
        d = g[i] + l2 * p[i]
        m[i] = b1 * m[i] + r1 * d
        v[i] = b2 * v[i] + r2 * (d * d)
        p[i] = shrink * p[i] - rate * m[i] / (np.sqrt(v[i]) * root + eps)


def adam(p, g, m, v, c):
    """Adam with the decay added to the gradient."""
    adam_step(p, g, m, v, c, np.float32(c[1]), np.float32(1))


def adamw(p, g, m, v, c):
    """Adam with the decay apart: p shrinks by 1 - lr decay."""
    adam_step(p, g, m, v, c, np.float32(0), np.float32(1 - c[0] * c[1]))


def muon(p, g, m, v, c):
    """m = mu m + g;  p -= lr (g + mu m): of what is no matrix. Of matrices see `orthogonal`."""
    lr, mu = np.float32(c[0]), np.float32(c[2])
    wide_vectors()
    for i in range(p.size):
        m[i] = mu * m[i] + g[i]
        p[i] -= lr * (g[i] + mu * m[i])


def _update_chunk(a, task, thread):
    start, size = reduction.chunk(a, task)
    at = 4 * start
    formula(floats(a.p + at, size), floats(a.g + at, size), floats(a.m + at, size), floats(a.v + at, size),
            coefficients(a, 1))  # fmt: skip


_update = per_task(fields("p g m v size", COEFFICIENTS), reduction.chunks)
FORMULAS = (sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, muon)
KERNELS: dict[str, Kernel] = {f.__name__: _update(named_after(f, _update_chunk, formula=rounded(f))) for f in FORMULAS}
