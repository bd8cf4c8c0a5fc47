"""Layers that no kernel was written for run through the reference, so that a new layer works at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal import reference
from foveal.engine.block import Array, Block
from foveal.kernels.buffers import Map
from foveal.layers.base import Layer


@dataclass
class Call:
    """A step in Python: ``run(n)`` computes the first n images.

    It looks like `foveal.kernels.steps.Step` to whoever prints a plan.
    """

    name: str
    run: Callable[[int], None]
    tile: str = ""
    macs: int = 0
    keep: tuple[Any, ...] = field(default=(), repr=False)


class FallbackBlock(Block):
    """One layer, computed by its reference formula in float64."""

    def packing(self) -> dict[str, NDArray[np.int64]]:
        """Return the identity: parameters and buffers stay in the users' order."""
        return {name: np.arange(math.prod(shape)) for name, shape in self._shapes().items()}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        layer: Layer = self.layer
        return layer.parameters.shapes | layer.buffers.shapes

    def forward(self, x: Map, y: Map, p: dict[str, Array], training: bool) -> list[Any]:
        """Return the call that computes y and keeps the layer's backward."""
        node, shapes = self.nodes[0], self._shapes()
        graph_shape = self.graph_input

        def run(n: int) -> None:
            state = {k: v.reshape(shapes[k]).astype(np.float64) for k, v in p.items()}
            inputs = x.view[:n].reshape(n, *graph_shape).astype(np.float64)
            if self.learning:
                result, self._closure, buffers = self.layer.run_training(reference, inputs, state, self.seed)
                for name, value in buffers.items():
                    p[name][:] = np.asarray(value).ravel()
            else:
                result, self._closure = self.layer.run(reference, inputs, state)
            y.view[:n] = np.asarray(result).reshape(n, *y.shape)

        return [Call(node.name, run, keep=(x, y))]

    def backward(self, dy: Map, dx: Map | None, p: dict[str, Array], g: dict[str, Array]) -> list[Any]:
        """Return the call of the layer's backward."""
        node = self.nodes[0]

        def run(n: int) -> None:
            result, gradients = self._closure(dy.view[:n].reshape(n, *node.shape).astype(np.float64))
            for name, value in gradients.items():
                g[name][:] = np.asarray(value).ravel()
            if dx is not None:
                dx.view[:n] = np.asarray(result).reshape(n, *dx.shape)

        return [Call(node.name, run, keep=(dy, dx))]
