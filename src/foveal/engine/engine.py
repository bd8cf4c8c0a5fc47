"""The engine of one network: its packed parameters and its plans, kept by batch size; safe to call from any thread."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.engine.blocks import ConvolutionBlock
from foveal.engine.fusion import find_blocks
from foveal.engine.plan import Images, Plan
from foveal.engine.weights import Weights
from foveal.graph import Graph
from foveal.kernels.isa import host
from foveal.kernels.threads import pool
from foveal.layers.base import differs_in_training

INFERENCE = 128  # images that are predicted at once: more gain nothing, their maps leave the cache
GRADIENT = 256


class Engine:
    """Runs a graph with the kernels.

    Parameters
    ----------
    graph : Graph
        Its layers are initialised.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph, self.isa = graph, host()
        blocks = self._blocks()
        self.weights = Weights(graph, {id(b.layer): b.packing() for b in reversed(blocks)})
        self.lock = threading.RLock()
        self._plans: dict[tuple[int, bool, bool, int], Plan] = {}
        self._moody = any(differs_in_training(layer) for layer in graph.layers)

    def _blocks(self) -> list[Any]:
        """Return new blocks; a shared convolution is packed for its first use."""
        blocks = find_blocks(self.graph, self.isa, pool().size)
        vectors: dict[int, int] = {}
        for b in blocks:
            if isinstance(b, ConvolutionBlock):
                if id(b.layer) in vectors:
                    b.vectors = vectors[id(b.layer)]
                    b.__dict__.pop("_geometry", None)  # made with the tile's own choice
                vectors.setdefault(id(b.layer), b.geometry._shape_only.tile.C)
        return blocks

    def plan(self, batch: int, training: bool, learning: bool = False) -> Plan:
        """Return the plan for up to `batch` images; the same one for the same arguments.

        training : with gradients; learning : as dropout and batch norm are while the network learns
        """
        with self.lock:
            threads, learning = pool().size, learning and self._moody
            key = batch, training, learning, threads
            if key not in self._plans:
                self._plans[key] = Plan(self.graph, self.weights, self._blocks(), batch, training, learning, self.isa,
                                        threads, self.lock)  # fmt: skip
            return self._plans[key]

    def scores(self, x: Images, batch: int | None = None) -> NDArray[np.float32]:
        """Return the output of the graph for all images of x, `batch` at a time."""
        n = len(x)
        shape = self.graph[self.blocks_output].shape
        y = np.empty((n, *shape), np.float32)
        if not n:
            return y
        size = batch or INFERENCE
        plan = self.plan(size if n >= size else 1 << (n - 1).bit_length(), False)
        with self.lock:
            self.weights.pull()
            for start in range(0, n, plan.batch):
                stop = min(start + plan.batch, n)
                plan.forward(x, start, stop - start, y[start:stop])
        return y

    @property
    def blocks_output(self) -> str:
        """The node whose values are the scores: the one before a final Softmax."""
        from foveal.layers import Softmax

        last = self.graph[self.graph.output]
        return last.inputs[0] if isinstance(last.layer, Softmax) and last.inputs[0] != "input" else last.name

    def gradient(self, x: Images, labels: NDArray[np.int64]) -> tuple[float, dict[str, NDArray[np.float32]]]:
        """Return the mean loss over x and its gradient for every parameter, in the users' shapes."""
        n = len(x)
        plan = self.plan(GRADIENT if n >= GRADIENT else 1 << (n - 1).bit_length(), True)
        with self.lock:
            self.weights.pull()
            total, loss = np.zeros(self.weights.size), 0.0
            for start in range(0, n, plan.batch):
                rows = np.arange(start, min(start + plan.batch, n))
                share = len(rows) / n
                loss += share * plan.backward(x, labels, rows)[0]
                total += share * plan.gradients[: self.weights.size].astype(np.float64)
            return loss, self.weights.like_users(total.astype(np.float32))
