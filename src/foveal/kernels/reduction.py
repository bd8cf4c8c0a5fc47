"""Adding up the parts of a gradient, always in their order; copying by an index."""

from __future__ import annotations

import numpy as np

from foveal.kernels.compiler import arguments, fields, floats, integers, kernel, take

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
CHUNK = 4096


@kernel(fields("parts_at part_size parts y size"))
def sum_parts(args, counter, thread):
    """y[i] = part_0[i] + part_1[i] + ...; a task is a chunk."""
    a = arguments(args)
    chunks = (a.size + CHUNK - 1) // CHUNK
    task = take(counter, chunks, thread)
    while task < chunks:
        start = task * CHUNK
        size = min(CHUNK, a.size - start)
        y = floats(a.y + 4 * start, size)
        y[:] = floats(a.parts_at + 4 * start, size)
        for p in range(1, a.parts):
            part = floats(a.parts_at + 4 * (p * a.part_size + start), size)
            for i in range(size):
                y[i] += part[i]
        task = take(counter, chunks, thread)


@kernel(fields("x index y size"))
def gather(args, counter, thread):
    """y[i] = x[index[i]], or 0 where the index is negative; a task is a chunk."""
    a = arguments(args)
    chunks = (a.size + CHUNK - 1) // CHUNK
    x = floats(a.x, 1 << 40)
    task = take(counter, chunks, thread)
    while task < chunks:
        start = task * CHUNK
        size = min(CHUNK, a.size - start)
        y, index = floats(a.y + 4 * start, size), integers(a.index + 8 * start, size)
        for i in range(size):
            y[i] = x[index[i]] if index[i] >= 0 else np.float32(0)
        task = take(counter, chunks, thread)


@kernel(fields("x index y size"))
def scatter(args, counter, thread):
    """y[index[i]] = x[i] where the index is not negative: `gather` backwards. A task is a chunk."""
    a = arguments(args)
    chunks = (a.size + CHUNK - 1) // CHUNK
    y = floats(a.y, 1 << 40)
    task = take(counter, chunks, thread)
    while task < chunks:
        start = task * CHUNK
        size = min(CHUNK, a.size - start)
        x, index = floats(a.x + 4 * start, size), integers(a.index + 8 * start, size)
        for i in range(size):
            if index[i] >= 0:
                y[index[i]] = x[i]
        task = take(counter, chunks, thread)
