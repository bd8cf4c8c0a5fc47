"""Adding up the parts of a gradient, always in their order; copying by an index. A task is a chunk."""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import fields, floats, helper, integers
from foveal.kernels.tasks import per_task

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
CHUNK = 4096


def chunks(a):
    """Return the number of tasks."""
    return (a.size + CHUNK - 1) // CHUNK


@helper
def chunk(a, task):
    """Return where a chunk begins, and its size."""
    return task * CHUNK, min(CHUNK, a.size - task * CHUNK)


@per_task(fields("parts_at part_size parts y size"), chunks)
def sum_parts(a, task, thread):
    """y[i] = part_0[i] + part_1[i] + ..."""
    start, size = chunk(a, task)
    y = floats(a.y + 4 * start, size)
    y[:] = floats(a.parts_at + 4 * start, size)
    for p in range(1, a.parts):
        part = floats(a.parts_at + 4 * (p * a.part_size + start), size)
        for i in range(size):
            y[i] += part[i]


@per_task(fields("x index y size"), chunks)
def gather(a, task, thread):
    """y[i] = x[index[i]], or 0 where the index is negative."""
    (start, size), x = chunk(a, task), floats(a.x, 1 << 40)
    y, index = floats(a.y + 4 * start, size), integers(a.index + 8 * start, size)
    for i in range(size):
        y[i] = x[index[i]] if index[i] >= 0 else np.float32(0)


@per_task(fields("x index y size"), chunks)
def scatter(a, task, thread):
    """y[index[i]] = x[i] where the index is not negative: `gather` backwards."""
    (start, size), y = chunk(a, task), floats(a.y, 1 << 40)
    x, index = floats(a.x + 4 * start, size), integers(a.index + 8 * start, size)
    for i in range(size):
        if index[i] >= 0:
            y[index[i]] = x[i]
