"""The parameters of a network as the kernels want them: one block of memory, each layer's part packed for its tiles.

The users' arrays and the packed ones are two copies of the same numbers. Whoever wrote last is right: `pull` packs
what users wrote, `push` writes back what training found. An array that was handed out may be changed in place at any
time without a word, so from then on `pull` packs before each run; networks whose arrays nobody asked for never pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.graph import Graph
from foveal.kernels.buffers import ALIGN, zeros
from foveal.kernels.reduction import gather, scatter
from foveal.kernels.steps import program, step
from foveal.layers.base import Layer

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Slot:
    """One parameter: where it stands in the memory and, for each float there, its place in the users' array (or -1)."""

    name: str
    layer: Layer
    parameter: str
    start: int
    index: NDArray[np.int64]

    @property
    def stop(self) -> int:
        """Behind its last float."""
        return self.start + self.index.size


class Weights:
    """All packed parameters of one graph.

    Parameters
    ----------
    graph : Graph
        Its layers are initialised.
    packing : mapping
        For each layer's id, the index of its packed parameters by name.
    """

    def __init__(self, graph: Graph, packing: Mapping[int, Mapping[str, NDArray[np.int64]]]) -> None:
        self.slots: list[Slot] = []
        size = 0
        for node in graph.owners():
            for name, index in packing.get(id(node.layer), {}).items():
                self.slots.append(Slot(f"{node.name}.{name}", node.layer, name, size, index))
                size += -(-index.size // ALIGN) * ALIGN
        self.size = size
        self.data = zeros(size)
        self.layers = list({id(s.layer): s.layer for s in self.slots}.values())
        self._seen: dict[int, int] = {}
        self._stale = False

    def of(self, layer: Layer, data: Array) -> dict[str, Array]:
        """Return the layer's part of `data`, memory that is laid out as the parameters are, by parameter name."""
        return {s.parameter: data[s.start : s.stop] for s in self.slots if s.layer is layer}

    def pull(self) -> None:
        """Pack what users, or another engine that runs the same layers, may have changed since the last time."""
        for layer in self.layers:
            other = layer.parameters.refresh
            if other is not None and other != self.push:
                other()
        changed = [layer for layer in self.layers if self._changed(layer)]
        if not changed:
            return
        self.push()
        arrays = {id(layer): layer.parameters.peek() for layer in changed}
        slots = [s for s in self.slots if id(s.layer) in arrays]
        program([
            step(s.name, gather, x=arrays[id(s.layer)][s.parameter], index=s.index, y=self.data[s.start :],
                 size=s.index.size)
            for s in slots
        ]).run()  # fmt: skip
        for layer in changed:
            self._seen[id(layer)] = layer.parameters.version

    def _changed(self, layer: Layer) -> bool:
        return layer.parameters.handed_out or self._seen.get(id(layer)) != layer.parameters.version

    def updated(self) -> None:
        """Note that the packed parameters are newer than the users' arrays: whoever reads those asks for them first."""
        if not self._stale:
            self._stale = True
            for layer in self.layers:
                layer.parameters.refresh = self.push

    def discard(self) -> None:
        """Forget newer packed parameters: what users have is right again."""
        self._stale = False
        self._seen.clear()

    def push(self) -> None:
        """Write newer packed parameters into the users' arrays, in place."""
        if self._stale:
            self._stale = False
            self.unpack(self.data, {s.name: s.layer.parameters.peek()[s.parameter] for s in self.slots})
            for layer in self.layers:  # another engine's packed copy is old now
                layer.parameters.version += 1
                self._seen[id(layer)] = layer.parameters.version

    def unpack(self, data: Array, to: Mapping[str, Array]) -> None:
        """Write `data`, laid out as the parameters are, into arrays of the users' shapes."""
        program([
            step(s.name, scatter, x=data[s.start :], index=s.index, y=to[s.name], size=s.index.size) for s in self.slots
        ]).run()  # fmt: skip

    def pack(self, arrays: Mapping[str, Array], to: Array) -> None:
        """Write arrays of the users' shapes into memory that is laid out as the parameters are."""
        program([
            step(s.name, gather, x=np.ascontiguousarray(arrays[s.name], np.float32), index=s.index, y=to[s.start :],
                 size=s.index.size) for s in self.slots
        ]).run()  # fmt: skip

    def like_users(self, data: Array) -> dict[str, Array]:
        """Return `data`, laid out as the parameters are, as new arrays of the users' shapes."""
        shapes: dict[str, Any] = {s.name: s.layer.parameters.shapes[s.parameter] for s in self.slots}
        arrays = {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
        self.unpack(data, arrays)
        return arrays
