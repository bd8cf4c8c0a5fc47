"""What this machine can run: the shapes of tiles, by name, and their functions called directly from Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from foveal.kernels import isa
from foveal.kernels.threads import set_threads

X86 = llvm.get_process_triple().startswith(("x86_64", "amd64", "i686"))


def _runnable() -> list[str]:
    has = llvm.get_host_cpu_features()
    needed = {"avx512": ["avx512f", "avx512bw", "avx512dq", "avx512vl"], "avx2": ["avx2", "fma"], "sse": ["sse4.2"]}
    return [name for name in isa.SHAPES if name == "neon" or (X86 and all(has.get(f) for f in needed[name]))]


RUNNABLE = _runnable()  # NEON's shape (4 lanes, 32 registers) is compiled for whatever machine this is


def call(address: int, names: Sequence[str], pointers: set[str], **values: Any) -> None:
    """Call a function of `foveal.kernels.tile` or `pooltile` at `address`; arrays and addresses, sizes, one float."""
    assert set(values) == set(names), f"arguments {sorted(set(values) ^ set(names))} are missing or unknown"
    kinds = [ctypes.c_void_p if n in pointers else ctypes.c_float if n == "floor" else ctypes.c_int64 for n in names]
    plain = [values[n].ctypes.data if isinstance(values[n], np.ndarray) else values[n] for n in names]
    ctypes.CFUNCTYPE(None, *kinds)(address)(*plain)


def bits(array: Any) -> Any:
    """Return float32 values as integers, so that NaN equals NaN and 0 is not -0."""
    return np.ascontiguousarray(array, np.float32).view(np.uint32)


def assert_threads_change_no_bit(compute: Callable[[], Iterable[Any]]) -> None:
    """Hold that the float32 arrays that `compute` returns have the same bits on 1, 2 and 3 threads."""
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        try:
            found.append([bits(array).copy() for array in compute()])
        finally:
            set_threads(None)
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, another)
