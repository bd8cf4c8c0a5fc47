"""Timing on noisy machines: contestants take turns, and what is compared is what ran side by side.

A round gives every contestant a few iterations and measures the FMA peak. A time is the median over all rounds; a
ratio or a share of peak is the median of the rounds' own ratios, so that a slow minute of the machine slows both sides.
Before each turn there is a rest, in which the threads of the one before fall asleep: OpenMP's wait for work with a
processor each for some milliseconds, and would have them while the next contestant runs.
"""

from __future__ import annotations

import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Work = Callable[[], Any]
OURS = "foveal"
LIMIT = "memory"
REST = 0.05  # seconds before a turn
WARM_UP = 2  # iterations of a turn that are not counted: threads wake, caches fill


@dataclass
class Contest:
    """One job, done by several contestants.

    Attributes
    ----------
    name : str
    contestants : dict
        What does the job, by name; "foveal" is ours.
    flop : float
        Floating-point operations of the job (1 FMA = 2 FLOP), or 0.
    iterations : int
        Counted iterations in a turn.
    limit : callable, optional
        What only reads and writes the memory that the job must: nobody is faster. It takes its turn last.
    """

    name: str
    contestants: Mapping[str, Work]
    flop: float = 0.0
    iterations: int = 8
    limit: Work | None = None
    times: dict[str, list[list[float]]] = field(default_factory=dict)
    peaks: list[float] = field(default_factory=list)

    def round(self, peak: Callable[[], float]) -> None:
        """Let every contestant take its turn."""
        turns = [*self.contestants.items(), *([(LIMIT, self.limit)] if self.limit else [])]
        for name, work in turns:
            time.sleep(REST)
            for _ in range(WARM_UP):
                work()
            turn = []
            for _ in range(self.iterations):
                begin = time.perf_counter()
                work()
                turn.append(time.perf_counter() - begin)
            self.times.setdefault(name, []).append(turn)
            if name == OURS and self.flop:
                self.peaks.append(peak())

    def median(self, name: str) -> float:
        """Return the median time of a contestant in seconds."""
        return statistics.median(t for turn in self.times[name] for t in turn)

    def result(self) -> dict[str, Any]:
        """Return medians in ms, the best peer, the ratio to it, the most it could be, and the share of peak."""
        peers = [name for name in self.contestants if name != OURS]
        out: dict[str, Any] = {"name": self.name, "ms": {n: round(1e3 * self.median(n), 4) for n in self.contestants}}
        if peers:
            best = min(peers, key=self.median)
            out["best_peer"], out["ratio"] = best, round(self._ratio(best, OURS), 3)
        if self.limit:
            out["limit_ms"] = round(1e3 * self.median(LIMIT), 4)
            if peers:
                out["ratio_at_most"] = round(self._ratio(best, LIMIT), 3)
        if self.flop:
            turns = zip(self.times[OURS], self.peaks, strict=True)
            out["share_of_peak"] = round(statistics.median(self.flop / statistics.median(t) / p for t, p in turns), 3)
            out["gflops"] = round(self.flop / self.median(OURS) / 1e9, 1)
            out["peak_gflops"] = round(statistics.median(self.peaks) / 1e9, 1)
        return out

    def _ratio(self, peer: str, name: str) -> float:
        rounds = zip(self.times[peer], self.times[name], strict=True)
        return statistics.median(statistics.median(a) / statistics.median(b) for a, b in rounds)


def run(contests: list[Contest], rounds: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run all contests, `rounds` rounds each, and return their results."""
    from foveal.kernels.peak import fma_peak

    for contest in contests:
        tell(f"{contest.name}: {', '.join(contest.contestants)}")
        for _ in range(rounds):
            contest.round(lambda: fma_peak(seconds=0.03))
    return [contest.result() for contest in contests]


def machine() -> dict[str, Any]:
    """Return what a figure depends on: processor, instruction set, threads, versions and commit."""
    from foveal.kernels.isa import host
    from foveal.kernels.threads import pool

    packages = {}
    for name in ("foveal", "numpy", "numba", "llvmlite", "torch"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(), "isa": host().name, "threads": pool().size,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(), "versions": packages, "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            import llvmlite.binding as llvm

            return f"{names[0]} ({llvm.get_host_cpu_name()})"
    return platform.processor() or platform.machine()


def _commit() -> str:
    where = Path(__file__).parent
    done = subprocess.run(
        ["git", "-C", where, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()
