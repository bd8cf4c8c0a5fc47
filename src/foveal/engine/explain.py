"""A plan as a table: what runs, with which tile, what it touches, and how near it comes to the machine's peak."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from foveal.engine.fallback import Call
from foveal.engine.plan import Plan
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


def text(plan: Plan) -> str:
    """Return the table. The time of a step is that of a run by itself, with its data where the last run left them."""
    with plan.lock:
        plan.weights.pull()
        example = np.zeros((plan.batch, *plan.graph.input_shape), np.uint8)
        labels = np.zeros(plan.batch, np.int64)
        scores = np.empty((plan.batch, *plan.scores.view.shape[1:]), np.float32)  # written again by each measured run
        if plan.training:
            plan.backward(example, labels, np.arange(plan.batch))
        else:
            scores = np.empty((plan.batch, *plan.maps[-1].view.shape[1:]), np.float32)  # every repeat writes there
            plan.forward(example, 0, plan.batch, scores)
        peak = fma_peak()
        rows = [HEADER]
        total = 0.0
        for s in plan.steps:
            seconds = measure(s, plan.batch)
            total += seconds
            share = f"{2 * s.macs / seconds / peak:.0%}" if s.macs else ""
            kernel = s.kernel.name if isinstance(s, Step) else "reference"
            macs = f"{s.macs:,}" if s.macs else ""
            rows.append((s.name, kernel, s.tile, f"{touched(s):,}", macs, f"{1e3 * seconds:.3f}", share))
    macs = sum(s.macs for s in plan.steps)
    share = f"{2 * macs / total / peak:.0%}"
    rows.append(("sum", "", "", f"{plan.nbytes:,}", f"{macs:,}", f"{1e3 * total:.3f}", share))
    widths = [max(len(r[i]) for r in rows) for i in range(len(HEADER))]
    lines = [
        "  ".join(c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths, strict=True)))
        for r in rows
    ]
    kind = "training" if plan.training else "inference"
    title = (
        f"plan for {kind}, batches of up to {plan.batch}, on {plan.isa.name} ({plan.isa.lanes} lanes, "
        f"{plan.isa.registers} registers), {pool().size} threads, FMA peak {peak / 1e9:.0f} GFLOP/s"
    )
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:-1], "-" * len(lines[0]), lines[-1]])
