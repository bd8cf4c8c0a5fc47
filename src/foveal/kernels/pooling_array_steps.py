"""How a pooling runs on the users' arrays (N, C, *spatial), as they lie in memory, for `foveal.ops`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from foveal.kernels import pooling_arrays as loops
from foveal.kernels.buffers import zeros
from foveal.kernels.compiler import Kernel
from foveal.kernels.reach import Places
from foveal.kernels.steps import Step, step
from foveal.kernels.threads import pool

Array = NDArray[Any]


@dataclass(frozen=True)
class ArrayPooling:
    """A pooling of contiguous float32 arrays.

    Parameters
    ----------
    places : Places
        Where the windows land on a map.
    """

    places: Places

    def maximum(self, x: Array, y: Array, index: Array | None) -> list[Step]:
        """Return the step of y = max over each window; `index`, if given, int64, its place in the map."""
        starts = self.places.axes[2].forward.start
        walk = self._walk(x, y, self.places.axes[2].output, backward=False)
        return [step("max_pool", loops.max_pool, x=x, y=y, index=0 if index is None else index, starts=starts, **walk)]

    def mean(self, x: Array, coefficient: Array, bias: Array, shares: Array, y: Array) -> list[Step]:
        """Return the step of y = coefficient * share * (sum over each window) + bias."""
        walk = self._walk(x, y, self.places.axes[2].size, backward=False)
        return [step("mean_pool", loops.mean_pool, x=x, y=y, shares=shares, coefficient=coefficient, bias=bias,
                     channels=x.shape[1], **walk)]  # fmt: skip

    def mean_grad(self, dy: Array, coefficient: Array, shares: Array, dx: Array) -> list[Step]:
        """Return the step of dx, to which each window gives coefficient * share * dy at all its positions."""
        column = self.places.axes[2]
        walk = self._walk(dx, dy, column.output + column.size + column.stride, backward=True)
        return [step("mean_pool_grad", loops.mean_pool_grad, dx=dx, dy=dy, shares=shares, coefficient=coefficient,
                     channels=dx.shape[1], **walk)]  # fmt: skip

    def _walk(self, x: Array, y: Array, scratch: int, backward: bool) -> dict[str, Any]:
        plane, row, column = self.places.axes
        planes, rows = (axis.backward if backward else axis.forward for axis in (plane, row))
        size = -(-scratch // 16) * 16  # threads share no cache line
        return {
            "n": x.shape[0] * x.shape[1], "depth": plane.size, "height": row.size, "width": column.size,
            "out_depth": plane.output, "out_height": row.output, "out_width": column.output, "planes": planes.table,
            "rows": rows.table, "plane_step": planes.step, "row_step": rows.step, "columns": column.meetings,
            "taps": column.kernel, "stride": column.stride, "scratch": zeros(pool().size * size), "scratch_size": size,
        }  # fmt: skip


def placed(kernel: Kernel, x: Array, y: Array, index: Array, bad: Array) -> list[Step]:
    """Return the step of `add_at`, `put_at` or `take_at`; bad : uint8, a number for each map."""
    maps = bad.size
    return [step(kernel.name, kernel, x=x, y=y, index=index, bad=bad, n=maps, size=x.size // maps, out=y.size // maps)]
