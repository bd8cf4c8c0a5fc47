"""How one local response normalisation runs, on channels-last maps and on arrays (N, C, *spatial)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import local_response as loops
from foveal.kernels.buffers import ALIGN, Map, zeros
from foveal.kernels.runs import Runs, over_runs
from foveal.kernels.steps import Step

BLOCK = 2048  # floats of a block: the four copies of it that backward makes stay in the first two caches
PLACES = 128  # floats of a channel in a block of an array, at least: eight cache lines

Array = NDArray[np.float32]


@dataclass(frozen=True)
class LocalResponse:
    """The numbers of the formula; alpha is not divided by `size`.

    Parameters
    ----------
    size : int
        Channels of the sum: floor((size - 1) / 2) before and ceil((size - 1) / 2) behind.
    alpha, beta, k : float
    """

    size: int
    alpha: float
    beta: float
    k: float

    def forward(self, name: str, x: Map, y: Map, threads: int) -> list[Step]:
        """Return the step of y; y may be x."""
        return [over_runs(name, loops.map_forward, x=x, y=y, **self._map(x, threads))]

    def backward(self, name: str, x: Map, dy: Map, dx: Map, threads: int) -> list[Step]:
        """Return the step of dx; dx may be dy."""
        return [over_runs(name, loops.map_backward, x=x, dy=dy, dx=dx, **self._map(x, threads))]

    def array_forward(self, name: str, x: Array, y: Array, threads: int) -> list[Step]:
        """Return the step of y for contiguous arrays (N, C, *spatial)."""
        values = self._array(x.shape, threads)
        return [over_runs(name, loops.array_forward, x=_runs(x, values), y=_runs(y, values), **values)]

    def array_backward(self, name: str, x: Array, dy: Array, dx: Array, threads: int) -> list[Step]:
        """Return the step of dx for contiguous arrays (N, C, *spatial)."""
        values = self._array(x.shape, threads)
        runs = {"x": _runs(x, values), "dy": _runs(dy, values), "dx": _runs(dx, values)}
        return [over_runs(name, loops.array_backward, **(runs | values))]

    def _window(self, channels: int) -> tuple[int, int, int]:
        """Return the channels before and behind, as far as there are any, and the larger number."""
        before, after = min((self.size - 1) // 2, channels - 1), min(self.size // 2, channels - 1)
        return before, after, max(before, after)

    def _map(self, x: Map, threads: int) -> dict[str, Any]:
        gap = self._window(x.C)[2]
        pitch = x.C + gap
        block = max(1, BLOCK // pitch)
        return self._block(threads, x.C, 0, x.pixel, block, gap, pitch, 1, block * pitch + 2 * gap)

    def _array(self, shape: tuple[int, ...], threads: int) -> dict[str, Any]:
        channels, columns = shape[1], math.prod(shape[2:])
        gap = self._window(channels)[2]
        block = min(max(BLOCK // channels // ALIGN * ALIGN, PLACES), columns)
        size = (channels + 2 * gap) * block
        return self._block(threads, channels, columns, 1, block, gap * block, block, block, size)

    def _block(
        self, threads: int, channels: int, columns: int, pixel: int, block: int, lead: int, pitch: int, step: int,
        size: int,
    ) -> dict[str, Any]:  # fmt: skip
        before, after, _ = self._window(channels)
        part = -(-size // ALIGN) * ALIGN
        return {
            "channels": channels, "columns": columns, "pixel": pixel, "block": block, "lead": lead, "pitch": pitch,
            "step": step, "before": before, "after": after, "scratch": zeros(threads * 4 * part),
            "scratch_size": 4 * part, "alpha": self.alpha, "beta": self.beta, "k": self.k,
        }  # fmt: skip


def _runs(x: Array, values: dict[str, Any]) -> Runs:
    """Return the blocks of places of an array as runs."""
    columns, block, channels = values["columns"], values["block"], values["channels"]
    rows = -(-columns // block)
    return Runs(len(x), 1, rows, channels * block, x.ctypes.data, channels * columns, 0, block, x)
