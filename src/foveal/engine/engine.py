"""The engine of one network: its packed parameters and its plans, kept by batch size; safe to call from any thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.engine.blocks import ConvolutionBlock
from foveal.engine.fusion import Cut, shared_layers
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
    output_weights : mapping of str to float, optional
        Of the losses of the outputs; 1 without it. Outputs with 0 are not trained.
    """

    def __init__(self, graph: Graph, output_weights: Mapping[str, float] | None = None) -> None:
        self.graph, self.isa = graph, host()
        weights = dict.fromkeys(graph.outputs, 1.0) if output_weights is None else output_weights
        self._losses = {name: weight for name, weight in weights.items() if weight}
        self._shared = shared_layers(graph)
        self._vectors: dict[int, int] = {}  # of the panels of a shared convolution, packed for its first use
        blocks = self._cut(graph).blocks
        self.weights = Weights(graph, {id(b.layer): b.packing() for b in reversed(blocks)})
        self.lock = threading.RLock()
        self._plans: dict[Any, Plan] = {}
        self._moody = any(differs_in_training(layer) for layer in graph.layers)

    def _cut(self, graph: Graph) -> Cut:
        """Return this graph, or the part of it that some outputs need, in new blocks."""
        cut = Cut(graph, self.isa, pool().size, self._shared)
        for b in cut.blocks:
            if isinstance(b, ConvolutionBlock) and id(b.layer) in self._shared:
                if id(b.layer) in self._vectors:
                    b.vectors = self._vectors[id(b.layer)]
                    b.__dict__.pop("_geometry", None)  # made with the tile's own choice
                self._vectors.setdefault(id(b.layer), b.geometry._shape_only.tile.C)
        return cut

    def plan(
        self, batch: int, training: bool, learning: bool = False, outputs: Iterable[str] = (), smoothing: float = 0.0
    ) -> Plan:
        """Return the plan for up to `batch` images; the same one for the same arguments.

        training : with gradients; learning : as dropout and batch norm are while the network learns
        outputs : those that are wanted, without gradients; the first one if none is named
        smoothing : of the labels, for the gradients
        """
        with self.lock:
            threads, learning = pool().size, learning and self._moody
            names = tuple(self._losses if training else outputs or [next(iter(self.graph.outputs))])
            key = batch, training, learning, threads, names, smoothing
            if key not in self._plans:
                graph, losses = self.graph.only(names), self._losses if training else {}
                self._plans[key] = Plan(graph, self.weights, self._cut(graph), batch, losses, learning, self.isa,
                                        threads, self.lock, smoothing)  # fmt: skip
            return self._plans[key]

    def scores(self, x: Images, batch: int | None = None) -> NDArray[np.float32]:
        """Return the first output for all images of x, `batch` at a time."""
        first = next(iter(self.graph.outputs))
        return self.outputs(x, batch, [first])[first]

    def outputs(
        self, x: Images, batch: int | None = None, names: Iterable[str] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Return the scores of all outputs, or those named, for all images of x, `batch` at a time."""
        n, places = len(x), self.graph.scores
        wanted = tuple(self.graph.outputs if names is None else names)
        found = {name: np.empty((n, *self.graph.shape(places[name])), np.float32) for name in wanted}
        if n:
            size = batch or INFERENCE
            plan = self.plan(size if n >= size else 1 << (n - 1).bit_length(), False, outputs=wanted)
            with self.lock:
                self.weights.pull()
                for start in range(0, n, plan.batch):
                    stop = min(start + plan.batch, n)
                    plan.forward(x, start, stop - start, {name: y[start:stop] for name, y in found.items()})
        return found

    def gradient(self, x: Images, labels: NDArray[np.int64]) -> tuple[float, dict[str, NDArray[np.float32]]]:
        """Return the loss over x and its gradient for every parameter, in the users' shapes."""
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
