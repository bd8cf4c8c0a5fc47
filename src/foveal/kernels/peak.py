"""The machine's limits, measured: multiply-adds of operands in the L1 cache, reading and writing memory."""

from __future__ import annotations

import functools
import time

import numpy as np

from foveal.kernels.buffers import Map, zeros
from foveal.kernels.compiler import fields, floats, reordered
from foveal.kernels.intrinsics import call_outer
from foveal.kernels.isa import ISA, host
from foveal.kernels.large import send
from foveal.kernels.steps import program, step
from foveal.kernels.tasks import per_task
from foveal.kernels.threads import Program, pool
from foveal.kernels.tiles import address, outer_candidates

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
LINE = 16  # floats
K = 256  # k of a tile: its x and w fill half of a 32 KB L1 cache at most


@per_task(fields("function x w y size taps zeros repeats tasks columns lanes"), lambda a: a.tasks)
def repeat_tile(a, task, thread):
    """Call one tile again and again on this thread's operands; a task is `repeats` calls."""
    at = 4 * thread * a.size
    for _ in range(a.repeats):
        call_outer(a.function, a.x + at, K, 1, a.w + at, a.columns, a.taps, 1, K, a.zeros, 0, a.y + at, a.columns,
                   -np.inf, a.lanes, 0, 0, 0, 1, 1, 0, 0)  # fmt: skip


@functools.cache
def _runs(isa: ISA, threads: int) -> list[tuple[Program, int]]:
    """Return programs of the tiles with the most accumulators, each with its FLOP."""
    size = 1 << 14
    x, w, y = zeros(threads * size), zeros(threads * size), zeros(threads * size)
    taps, zero = np.zeros(2, np.int64), zeros(8 * isa.lanes)
    shapes = sorted((s for s in outer_candidates(isa) if s[1] * isa.lanes * K <= size), key=lambda s: -s[0] * s[1])[:4]
    runs = []
    for R, C in shapes:
        repeats, columns = max(1, 200_000 // (R * C * K)), C * isa.lanes
        s = step("peak", repeat_tile, function=address("outer", isa, R, C), x=x, w=w, y=y, size=size, taps=taps,
                 zeros=zero, repeats=repeats, tasks=8 * threads, columns=columns, lanes=isa.lanes)  # fmt: skip
        runs.append((program([s]), 2 * 8 * threads * repeats * R * columns * K))
    return runs


def fma_peak(isa: ISA | None = None, seconds: float = 0.15) -> float:
    """Return the best rate of any tile on all threads, in FLOP/s (1 FMA = 2 FLOP), tried for so many seconds."""
    runs = _runs(isa or host(), pool().size)
    for run, _ in runs:  # wakes the threads and the wide vector units
        run.run()
    best, stop = 0.0, time.perf_counter() + seconds
    while not best or time.perf_counter() < stop:
        for run, flop in runs:
            begin = time.perf_counter()
            run.run()
            best = max(best, flop / (time.perf_counter() - begin))
    return best


@reordered
def total(x):
    """Return the sum of an array."""
    found = np.float32(0)
    for i in range(x.size):
        found += x[i]
    return found


@per_task(fields("x size sums tasks"), lambda a: a.tasks)
def read(a, task, thread):
    """sums[task] = the sum of a part of x; a task is a part."""
    first, stop = task * a.size // a.tasks, (task + 1) * a.size // a.tasks
    floats(a.sums + 4 * LINE * task, 1)[0] = total(floats(a.x + 4 * first, stop - first))


def reading(*maps: Map) -> Program:
    """Return the program that reads maps once and only adds them up: what must read them takes no less time."""
    tasks = 32 * pool().size
    return program([
        step("read", read, x=m.data, size=m.data.size, sums=zeros(LINE * tasks), tasks=tasks, keep=(m,)) for m in maps
    ])  # fmt: skip


@per_task(fields("x y size tasks"), lambda a: a.tasks)
def copy(a, task, thread):
    """y = x, past the caches; a task is a part, whole lines."""
    lines = a.size // LINE
    first, stop = task * lines // a.tasks, (task + 1) * lines // a.tasks
    send(a.x + 4 * LINE * first, a.y + 4 * LINE * first, LINE * (stop - first))


def copying(x: Map, y: Map) -> Program:
    """Return the program that reads x once and writes y once: what makes y of x takes no less time."""
    size = min(x.data.size, y.data.size)
    return program([step("copy", copy, x=x.data, y=y.data, size=size, tasks=32 * pool().size, keep=(x, y))])
