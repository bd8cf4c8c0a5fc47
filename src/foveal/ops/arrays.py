"""Kernels over flat arrays: a program is made once for each size, and told where its arrays are at each call."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def contiguous(x: ArrayLike) -> NDArray[np.float32]:
    """Return `x` as kernels read it: the same array, if it is so already."""
    return np.require(x, np.float32, ["C", "A"])


class _Prepared:
    """A kernel over arrays of `size` floats, called `names` in its argument block."""

    def __init__(
        self, kernel: Any, names: tuple[str, ...], size: int, whole: int, constants: tuple[tuple[str, float], ...]
    ) -> None:
        from foveal.kernels.runs import Runs, over_runs
        from foveal.kernels.steps import program

        cut = Runs.cut(size, whole)
        values: dict[str, Any] = dict(constants)
        steps = [over_runs(kernel.name, kernel, **(values | dict.fromkeys(names, runs))) for runs in cut]
        pairs = zip(steps, cut, strict=True)
        self._places = [(s.field(name), runs.address, name) for s, runs in pairs for name in names]
        self._program = program(steps)
        self.free = threading.Lock()

    def run(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Run on these arrays."""
        starts = {name: array.ctypes.data for name, array in arrays.items()}
        for place, offset, name in self._places:
            place[0] = starts[name] + offset
        self._program.run()


@functools.lru_cache(maxsize=256)
def _prepared(threads: int, *what: Any) -> _Prepared:
    return _Prepared(*what)


def over_arrays(kernel: Any, arrays: dict[str, NDArray[np.float32]], whole: int = 1, **constants: Any) -> None:
    """Run a kernel over contiguous arrays of one size, one for each of its operands; constants are its other arguments.

    Each thread gets a multiple of `whole` floats: a row must not be torn apart.
    """
    from foveal.kernels.threads import pool

    what = kernel, tuple(arrays), next(iter(arrays.values())).size, whole, tuple(constants.items())
    made = _prepared(pool().size, *what)
    if not made.free.acquire(blocking=False):  # another thread of Python is just using it
        return _Prepared(*what).run(arrays)
    try:
        made.run(arrays)
    finally:
        made.free.release()
