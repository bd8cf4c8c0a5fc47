"""The blocks where maps meet: sums, channels side by side, and any other layer with several inputs.

What they read lies as the graph says: behind a Flatten a row of features, never a map that was left as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from foveal import layers as L
from foveal import reference
from foveal.engine.block import Array, Block
from foveal.engine.blocks import Activated
from foveal.engine.fallback import Call, FallbackBlock
from foveal.kernels import activation
from foveal.kernels.buffers import Map
from foveal.kernels.join_steps import NONE, add, copy_channels
from foveal.kernels.runs import over_runs


class AddBlock(Activated):
    """The sum of maps, and an activation: ReLU is the floor of the last addition."""

    def forward_all(self, xs: Sequence[Map], y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return a step for each addition, and that of a sigmoid."""
        self.y = y
        if len(xs) == 1:
            return [over_runs(self.name, activation.copy, x=xs[0], y=y)]
        so_far = [xs[0], *[y] * (len(xs) - 2)]
        floors = [*[NONE] * (len(xs) - 2), self.floor]
        sums = [add(self.name, a, b, y, floor) for a, b, floor in zip(so_far, xs[1:], floors, strict=True)]
        return sums + self.sigmoid_forward(y)

    def backward_all(self, dy: Map, dxs: Sequence[Map | None], p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the step of each dx: dy, through the activation."""
        if not (self.find(L.ReLU) or self.find(L.Sigmoid)):
            return [over_runs(self.name, activation.copy, x=dy, y=dx) for dx in dxs if dx]
        kernel = activation.relu_backward if self.find(L.ReLU) else activation.sigmoid_backward
        return [over_runs(self.name, kernel, y=self.y, dy=dy, dx=dx) for dx in dxs if dx]


class ConcatBlock(Block):
    """Maps become the channels of one, by a copy of each.

    A convolution could write into its channels of y at once; what reads its y on the way back would have to know.
    """

    def forward_all(self, xs: Sequence[Map], y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the step of each copy."""
        self.firsts = list(itertools.accumulate((x.C for x in xs), initial=0))[:-1]
        return [copy_channels(self.name, x, y, y_first=first) for x, first in zip(xs, self.firsts, strict=True)]

    def backward_all(self, dy: Map, dxs: Sequence[Map | None], p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the step of each copy back."""
        pairs = zip(dxs, self.firsts, strict=True)
        return [copy_channels(self.name, dy, dx, x_first=first) for dx, first in pairs if dx]


class JoinFallbackBlock(FallbackBlock):
    """A layer with several inputs that no kernel was written for, computed by its formula in float64."""

    def forward_all(self, xs: Sequence[Map], y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the call that computes y and keeps the layer's backward."""
        shapes = self._shapes()

        def run(n: int) -> None:
            state = {k: v.reshape(shapes[k]).astype(np.float64) for k, v in p.items()}
            result, self._closure = self.layer.run_joined(reference, [x.view[:n].astype(np.float64) for x in xs], state)
            y.view[:n] = np.asarray(result).reshape(n, *y.shape)

        return [Call(self.name, run, keep=(*xs, y))]

    def backward_all(self, dy: Map, dxs: Sequence[Map | None], p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the call of the layer's backward."""

        def run(n: int) -> None:
            results, gradients = self._closure(dy.view[:n].astype(np.float64))
            for name, value in gradients.items():
                g[name][:] = np.asarray(value).ravel()
            for dx, result in zip(dxs, results, strict=True):
                if dx:
                    dx.view[:n] = np.asarray(result).reshape(n, *dx.shape)

        return [Call(self.name, run, keep=(dy, *(dx for dx in dxs if dx)))]
