"""A plan as a table: what runs, with which tile, what it touches, and how near it comes to the machine's peak."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from foveal.engine.fallback import Call
from foveal.kernels.buffers import Map
from foveal.kernels.peak import fma_peak
from foveal.kernels.steps import Step, program
from foveal.kernels.threads import pool

REPEATS = 15
HEADER = ("step", "kernel", "tile", "bytes", "MACs", "ms", "of peak")


def measure(s: Any, n: int) -> float:
    """Return the median time of a step in seconds, run by itself."""
    native = None if isinstance(s, Call) else program([s])
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        s.run(n) if native is None else native.run()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def touched(s: Any) -> int:
    """Return the bytes of the maps, parameters and tables that a step reads or writes."""
    sizes: dict[int, int] = {}
    for a in s.keep:
        if isinstance(a, Map):
            sizes[a.data.ctypes.data] = a.nbytes
        elif isinstance(a, np.ndarray):
            sizes[a.ctypes.data] = a.nbytes
    return sum(sizes.values())


def text(steps: Sequence[Any], batch: int, title: str, nbytes: int) -> str:
    """Return the table of steps that have just run with `batch` images.

    The time of a step is that of a run by itself, with its data where the last run left them.
    """
    peak = fma_peak()
    rows = [HEADER]
    total = 0.0
    for s in steps:
        seconds = measure(s, batch)
        total += seconds
        share = f"{2 * s.macs / seconds / peak:.0%}" if s.macs else ""
        kernel = s.kernel.name if isinstance(s, Step) else "reference"
        macs = f"{s.macs:,}" if s.macs else ""
        rows.append((s.name, kernel, s.tile, f"{touched(s):,}", macs, f"{1e3 * seconds:.3f}", share))
    macs = sum(s.macs for s in steps)
    share = f"{2 * macs / total / peak:.0%}"
    rows.append(("sum", "", "", f"{nbytes:,}", f"{macs:,}", f"{1e3 * total:.3f}", share))
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEADER))]
    lines = [
        "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in rows
    ]
    rule = "-" * len(lines[0])
    title += f", {pool().size} threads, FMA peak {peak / 1e9:.0f} GFLOP/s"
    return "\n".join([title, lines[0], rule, *lines[1:-1], rule, lines[-1]])
