"""How one batch norm runs on channels-last maps: while it learns, afterwards, and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import batch_norm as loops
from foveal.kernels.buffers import Map, zeros
from foveal.kernels.join_steps import NONE
from foveal.kernels.large import map_goes_past
from foveal.kernels.runs import over_runs
from foveal.kernels.steps import Step, step

PARTS = 16  # a batch is summed in at most so many parts, whatever the number of threads
WIDTH = 512  # numbers of a table at least; the tables of a pass stay in the first-level cache

Array = NDArray[np.float32]


class BatchNorm:
    """The memory between forward and backward: statistics and sums in float64, and tables for the loops.

    Parameters
    ----------
    x : Map
        What is normalised; its pixels have no more floats than channels.
    epsilon : float
    floor : float
        What y cannot fall below: 0 with a ReLU behind.
    """

    def __init__(self, x: Map, epsilon: float, floor: float = NONE) -> None:
        self.x, self.epsilon, self.floor, self.channels = x, epsilon, floor, x.pixel
        self.width = -(-WIDTH // x.pixel) * x.pixel
        self.parts = min(PARTS, x.n * x.D * x.H)
        self.mean, self.variance = zeros(x.pixel, np.float64), zeros(x.pixel, np.float64)
        self.sums = zeros(self.parts * 2 * x.pixel, np.float64)
        self.partial, self.tables = zeros(self.parts * 3 * self.width), zeros(5 * self.width)

    @property
    def _statistics(self) -> dict[str, Any]:
        return {"channels": self.channels, "mean": self.mean, "variance": self.variance}

    @property
    def _sums(self) -> dict[str, Any]:
        return {"sums": self.sums, "parts": self.parts}

    @property
    def _partial(self) -> dict[str, Any]:
        return {"partial": self.partial, "width": self.width, "channels": self.channels, **self._sums}

    @property
    def _count(self) -> dict[str, Any]:
        return {"n": self.x.n, "pixels": self.x.D * self.x.H * self.x.W}

    def forward(
        self, name: str, scale: Array, shift: Array, y: Map, running_mean: Array | int = 0,
        running_variance: Array | int = 0, momentum: float = 0.0, other: Map | None = None,
    ) -> list[Step]:  # fmt: skip
        """Return the steps of y with the batch's own statistics, which the running ones follow; y may be x.

        other : added before the floor
        """
        return [
            over_runs(name, loops.map_moments, x=self.x, **self._partial),
            step(name, loops.map_statistics, x=self.x.address, running_mean=running_mean,
                 running_variance=running_variance, momentum=momentum, **self._count, **self._sums, **self._statistics),
            *self._normalise(name, scale, shift, y, other),
        ]  # fmt: skip

    def inference(
        self, name: str, scale: Array, shift: Array, y: Map, running_mean: Array, running_variance: Array,
        other: Map | None = None,
    ) -> list[Step]:  # fmt: skip
        """Return the steps of y with the running statistics; y may be x."""
        given = step(name, loops.map_running_statistics, running_mean=running_mean, running_variance=running_variance,
                     **self._statistics)  # fmt: skip
        return [given, *self._normalise(name, scale, shift, y, other)]

    def _normalise(self, name: str, scale: Array, shift: Array, y: Map, other: Map | None) -> list[Step]:
        tables = step(name, loops.map_tables, width=self.width, scale=scale, shift=shift, tables=self.tables,
                      epsilon=self.epsilon, **self._statistics)  # fmt: skip
        past = map_goes_past(y, self.width, self.x, other or self.x)
        where: dict[str, Any] = {"width": self.width, "tables": self.tables, "floor": self.floor, "past": past}
        if other is None:
            return [tables, over_runs(name, loops.map_forward, x=self.x, y=y, **where)]
        return [tables, over_runs(name, loops.map_forward_and_add, x=self.x, r=other, y=y, **where)]

    def backward(
        self, name: str, scale: Array, dy: Map, dx: Map | None, dscale: Array, dshift: Array, given: bool = False
    ) -> list[Step]:
        """Return the steps of dx, dscale and dshift; dx may be dy, or None if nobody reads it.

        x is read again: `forward` must not have written y in its place.

        given : whether y was made by `inference`, with statistics that do not depend on x
        """
        first = over_runs(
            name, loops.map_products, x=self.x, dy=dy, tables=self.tables, floor=self.floor, **self._partial
        )
        return [first, *self._gradients(name, scale, dy, dx, dscale, dshift, given, self.floor)]

    def backward_of_sum(
        self, name: str, scale: Array, y: Map, dy: Map, dx: Map | None, dother: Map, dscale: Array, dshift: Array,
        given: bool = False, more: Map | None = None,
    ) -> list[Step]:  # fmt: skip
        """Return the steps of dx, dscale, dshift, and the gradient of the `other` map; it may be dy.

        more : the other term of the gradient of y, if it is the sum of two
        """
        maps = {"x": self.x, "y": y, "dy": dy, "g": dother}
        values: dict[str, Any] = {**maps, "tables": self.tables, "floor": self.floor, **self._partial}
        if more is None:
            first = over_runs(name, loops.map_products_of_sum, **values)
        else:
            first = over_runs(name, loops.map_products_of_two, more=more, **values)
        return [first, *self._gradients(name, scale, dother, dx, dscale, dshift, given, NONE)]

    def _gradients(
        self, name: str, scale: Array, dy: Map, dx: Map | None, dscale: Array, dshift: Array, given: bool, floor: float
    ) -> list[Step]:
        steps = [
            step(name, loops.map_gradient_tables, scale=scale, dscale=dscale, dshift=dshift, tables=self.tables,
                 given=int(given), epsilon=self.epsilon, width=self.width, **self._count, **self._sums,
                 **self._statistics),
        ]  # fmt: skip
        if dx is None:
            return steps
        past = map_goes_past(dx, self.width, self.x, dy)
        last = over_runs(name, loops.map_backward, x=self.x, dy=dy, dx=dx, width=self.width, tables=self.tables,
                         floor=floor, past=past)  # fmt: skip
        return [*steps, last]
