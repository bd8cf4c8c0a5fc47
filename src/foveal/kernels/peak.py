"""The machine's multiply-add peak, measured: the register tile on operands that never leave the L1 cache."""

from __future__ import annotations

import time

import numpy as np

from foveal.kernels.buffers import zeros
from foveal.kernels.compiler import arguments, fields, kernel, take
from foveal.kernels.intrinsics import call_outer
from foveal.kernels.isa import ISA, host
from foveal.kernels.steps import program, step
from foveal.kernels.threads import pool
from foveal.kernels.tiles import address, outer_candidates

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
K = 256  # k of a tile: its x and w fill half of a 32 KB L1 cache at most


@kernel(fields("function x w y size taps zeros repeats tasks columns lanes"))
def repeat_tile(args, counter, thread):
    """Call one tile again and again on this thread's operands; a task is `repeats` calls."""
    a = arguments(args)
    task = take(counter)
    while task < a.tasks:
        at = 4 * thread * a.size
        for _ in range(a.repeats):
            call_outer(a.function, a.x + at, K, 1, a.w + at, a.columns, a.taps, 1, K, a.zeros, 0, a.y + at, a.columns,
                       -np.inf, a.lanes, 1)  # fmt: skip
        task = take(counter)


def fma_peak(isa: ISA | None = None, seconds: float = 0.15) -> float:
    """Return the best rate of any tile on all threads, in FLOP/s (1 FMA = 2 FLOP)."""
    isa = isa or host()
    threads, size = pool().size, 1 << 14
    x, w, y = zeros(threads * size), zeros(threads * size), zeros(threads * size)
    taps, zero = np.zeros(2, np.int64), zeros(8 * isa.lanes)
    shapes = sorted((s for s in outer_candidates(isa) if s[1] * isa.lanes * K <= size), key=lambda s: -s[0] * s[1])[:4]
    best = 0.0
    stop = time.perf_counter() + seconds
    runs = []
    for R, C in shapes:
        repeats = max(1, 200_000 // (R * C * K))
        s = step("peak", repeat_tile, function=address("outer", isa, R, C), x=x, w=w, y=y, size=size, taps=taps, zeros=zero,
                 repeats=repeats, tasks=8 * threads, columns=C * isa.lanes, lanes=isa.lanes)  # fmt: skip
        runs.append((program([s]), 2 * 8 * threads * repeats * R * C * isa.lanes * K))
    while time.perf_counter() < stop:
        for run, flop in runs:
            begin = time.perf_counter()
            run.run()
            best = max(best, flop / (time.perf_counter() - begin))
    return best
