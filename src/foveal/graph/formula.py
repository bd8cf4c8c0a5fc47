"""A graph computed by its formulas: every node in its order, and backward in the opposite one.

This is what the engine is tested against, and how `Parallel` and `Residual` run alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from foveal.graph.checks import INPUT
from foveal.layers.base import Array, Gradients, Layer
from foveal.layers.join import Join
from foveal.reference.random import derive

if TYPE_CHECKING:
    from foveal.graph.graph import Graph

Backward = Callable[[Array], tuple[list[Array], Gradients]]


@dataclass(frozen=True)
class Run:
    """What a graph computed.

    Attributes
    ----------
    values : dict of arrays
        The result of every node, by name, and "input".
    buffers : dict of arrays
        New buffers by name, where the graph ran as it does while it learns.
    backwards : dict of functions
        The backward of every node: dy -> ([dx of each input], gradients).
    """

    graph: Graph
    values: dict[str, Array]
    buffers: dict[str, Array]
    backwards: dict[str, Backward]

    def backward(self, dys: Mapping[str, Array]) -> tuple[Array, Gradients]:
        """Return dx of the graph's input and the gradient of every parameter, for the gradients `dys` of nodes.

        A result that several read has the sum of their gradients, and so has a layer that is used several times.
        """
        d = {name: np.zeros_like(value) for name, value in self.values.items()}
        for name, dy in dys.items():
            d[name] = d[name] + dy
        found: Gradients = {}
        owners = owner_names(self.graph)
        for node in reversed(self.graph.nodes):
            dxs, gradients = self.backwards[node.name](d[node.name])
            for source, dx in zip(node.inputs, dxs, strict=True):
                d[source] = d[source] + dx
            for name, gradient in gradients.items():
                key = f"{owners[id(node.layer)]}.{name}"
                found[key] = found[key] + gradient if key in found else gradient
        return d[INPUT], {name: found[name] for name in self.graph.parameters()}


def run(graph: Graph, ops: ModuleType, x: Array, p: Mapping[str, Array], seed: int | None = None) -> Run:
    """Compute every node of a graph. Pure: reads `p`, keeps nothing in the layers.

    Parameters
    ----------
    graph : Graph
        What is computed.
    ops : module
        What computes: `foveal.reference` or `foveal.ops`.
    x : ndarray of shape (N, *input_shape)
        The input.
    p : mapping of arrays
        Parameters and buffers by name: "conv1.weight".
    seed : int, optional
        Run as while the network learns; each node's random numbers have a seed of their own, derived from this one and
        the node's place.
    """
    values: dict[str, Array] = {INPUT: x}
    buffers: dict[str, Array] = {}
    backwards: dict[str, Backward] = {}
    owners = owner_names(graph)
    for place, node in enumerate(graph.nodes):
        prefix = owners[id(node.layer)] + "."
        state = {**p, **buffers}  # a layer that is used again finds the buffers that its last use left
        own = {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}
        own_seed = None if seed is None else derive(seed, place)
        xs = [values[name] for name in node.inputs]
        values[node.name], backwards[node.name], new = run_layer(node.layer, ops, xs, own, own_seed)
        buffers |= {prefix + name: array for name, array in new.items()}
    return Run(graph, values, buffers, backwards)


def run_layer(
    layer: Layer, ops: ModuleType, xs: list[Array], p: Mapping[str, Array], seed: int | None
) -> tuple[Array, Backward, dict[str, Array]]:
    """Return y, backward and new buffers of one layer, whether it has one input or several."""
    if isinstance(layer, Join):
        return (*layer.run_joined(ops, xs, p), {})
    if seed is None:
        y, of_one = layer.run(ops, xs[0], p)
        new: dict[str, Array] = {}
    else:
        y, of_one, new = layer.run_training(ops, xs[0], p, seed)

    def backward(dy: Array) -> tuple[list[Array], Gradients]:
        dx, gradients = of_one(dy)
        return [dx], gradients

    return y, backward, new


def owner_names(graph: Graph) -> dict[int, str]:
    """Return for each layer's id the name of its first node, after which its parameters are called."""
    return {id(node.layer): node.name for node in graph.owners()}
