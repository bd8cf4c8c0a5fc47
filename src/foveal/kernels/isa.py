"""What the processor offers: vector lanes, registers, fused multiply-add.

The table `SHAPES` names the instruction sets that register tiles are made for. `host()` reads the machine; the
environment variable FOVEAL_ISA, or `using(...)` in a test, puts another shape in its place: on an AVX-512 machine the
AVX2 and SSE tiles are then compiled for those processors and really run, and the NEON shape (4 lanes, 32 registers)
is run with this machine's instructions.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass

import llvmlite.binding as llvm

from foveal.errors import ParameterError, explain, nearest


@dataclass(frozen=True)
class ISA:
    """An instruction set as a register tile sees it.

    Attributes
    ----------
    name : str
        "avx512", "avx2", "sse" or "neon".
    lanes : int
        float32 values in one vector register.
    registers : int
        Vector registers that a tile may use.
    fma : bool
        Whether a fused multiply-add exists; without it a product is rounded before it is added.
    latency : int
        Cycles from a multiply-add to its result, times the multiply-adds begun in a cycle: so many accumulators
        keep the units busy.
    cpu, features : str
        What LLVM is told to compile for; empty means this machine.
    """

    name: str
    lanes: int
    registers: int
    fma: bool
    latency: int = 8
    cpu: str = ""
    features: str = ""

    @property
    def permutes(self) -> bool:
        """Whether an instruction takes any lanes out of a vector, by a vector of indices."""
        return self.name in ("avx512", "avx2")


SHAPES = {
    "avx512": ISA("avx512", 16, 32, True),
    "avx2": ISA("avx2", 8, 16, True, cpu="haswell"),
    "sse": ISA("sse", 4, 16, False, cpu="nehalem"),
    "neon": ISA("neon", 4, 32, True),
}

_override: list[ISA] = []


def _detected() -> ISA:
    features = llvm.get_host_cpu_features()
    if llvm.get_process_triple().startswith(("aarch64", "arm64")):
        return SHAPES["neon"]
    if all(features.get(f) for f in ("avx512f", "avx512bw", "avx512dq", "avx512vl")):
        return SHAPES["avx512"]
    if features.get("avx2") and features.get("fma"):
        return ISA("avx2", 8, 16, True)
    return ISA("sse", 4, 16, False)


def named(name: str) -> ISA:
    """Return the shape called `name`; ParameterError names the nearest one."""
    try:
        return SHAPES[name]
    except KeyError:
        known = explain("instruction set", expected="a known name", got=repr(name), fix=nearest(name, SHAPES))
        raise ParameterError(known) from None


def host() -> ISA:
    """Return the instruction set in use: the override if there is one, else what the machine has."""
    return _override[-1] if _override else _given()


@functools.cache
def _given() -> ISA:
    """Return what FOVEAL_ISA asked for when it was first needed, or what the machine has."""
    name = os.environ.get("FOVEAL_ISA", "")
    return named(name) if name else _detected()


@contextlib.contextmanager
def using(name: str) -> Iterator[ISA]:
    """Make and run tiles of another shape inside a ``with`` block (plans made before keep theirs)."""
    _override.append(named(name))
    try:
        yield _override[-1]
    finally:
        _override.pop()
