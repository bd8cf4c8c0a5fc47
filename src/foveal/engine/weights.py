"""The parameters of a network as the kernels want them: one block of memory, each layer's part packed for its tiles.

Buffers, which are kept from step to step without being learned, stand behind the parameters in the same memory.

The users' arrays and the packed ones are two copies of the same numbers. Whoever wrote last is right: `pull` packs
what users wrote, `push` writes back what training found. An array that was handed out may be changed in place at any
time without a word, so from then on `pull` packs before each run; networks whose arrays nobody asked for never pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveal.graph import Graph
from foveal.kernels.buffers import ALIGN, zeros
from foveal.kernels.reduction import gather, scatter
from foveal.kernels.steps import program, step
from foveal.layers.base import Layer
from foveal.layers.parameters import Parameters

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Slot:
    """One parameter or buffer: where it stands in the memory and, for each float there, its place in the users' array.

    Padding has the place -1.
    """

    name: str
    layer: Layer
    parameter: str
    start: int
    index: NDArray[np.int64]

    @property
    def learned(self) -> bool:
        """Whether it is a parameter, not a buffer."""
        return self.parameter in self.layer.parameters

    @property
    def holder(self) -> Parameters:
        """Where the users' array is."""
        return self.layer.parameters if self.learned else self.layer.buffers

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
        For each layer's id, the index of its packed parameters and buffers by name.

    Attributes
    ----------
    size : int
        Floats of the parameters: of a gradient, of an optimizer's state.
    data : ndarray of float32
        Parameters, then buffers.
    """

    def __init__(self, graph: Graph, packing: Mapping[int, Mapping[str, NDArray[np.int64]]]) -> None:
        self.slots: list[Slot] = []
        sizes = []
        for learned in (True, False):
            for node in graph.owners():
                for name, index in packing.get(id(node.layer), {}).items():
                    if (name in node.layer.parameters) is learned:
                        start = self.slots[-1].start + self._aligned(self.slots[-1]) if self.slots else 0
                        self.slots.append(Slot(f"{node.name}.{name}", node.layer, name, start, index))
            sizes.append(sum(map(self._aligned, self.slots)))
        self.size, everything = sizes
        self.data = zeros(everything)
        self.holders = list({id(s.holder): s.holder for s in self.slots}.values())
        self._seen: dict[int, int] = {}
        self._stale = False

    @staticmethod
    def _aligned(slot: Slot) -> int:
        return -(-slot.index.size // ALIGN) * ALIGN

    def state(self, layer: Layer) -> dict[str, Array]:
        """Return the layer's packed parameters and buffers by name."""
        return {s.parameter: self.data[s.start : s.stop] for s in self.slots if s.layer is layer}

    def of(self, layer: Layer, data: Array) -> dict[str, Array]:
        """Return the layer's part of `data`, memory that is laid out as the parameters are, by parameter name."""
        return {s.parameter: data[s.start : s.stop] for s in self.slots if s.layer is layer and s.learned}

    def pull(self) -> None:
        """Pack what users, or another engine that runs the same layers, may have changed since the last time."""
        for holder in self.holders:
            if holder.refresh is not None and holder.refresh != self.push:
                holder.refresh()
        changed = {id(holder): holder for holder in self.holders if self._changed(holder)}
        if not changed:
            return
        self.push()
        program([
            step(s.name, gather, x=s.holder.peek()[s.parameter], index=s.index, y=self.data[s.start :],
                 size=s.index.size)
            for s in self.slots if id(s.holder) in changed
        ]).run()  # fmt: skip
        for holder in changed.values():
            self._seen[id(holder)] = holder.version

    def _changed(self, holder: Parameters) -> bool:
        return holder.handed_out or self._seen.get(id(holder)) != holder.version

    def updated(self) -> None:
        """Note that the packed parameters are newer than the users' arrays: whoever reads those asks for them first."""
        if not self._stale:
            self._stale = True
            for holder in self.holders:
                holder.refresh = self.push

    def discard(self) -> None:
        """Forget newer packed parameters: what users have is right again."""
        self._stale = False
        self._seen.clear()

    def push(self) -> None:
        """Write newer packed parameters into the users' arrays, in place."""
        if self._stale:
            self._stale = False
            self._scatter(self.data, {s.name: s.holder.peek()[s.parameter] for s in self.slots})
            for holder in self.holders:  # another engine's packed copy is old now
                holder.version += 1
                self._seen[id(holder)] = holder.version

    def _scatter(self, data: Array, to: Mapping[str, Array]) -> None:
        """Write `data`, laid out as the parameters are, into arrays of the users' shapes: all that `to` names."""
        program([
            step(s.name, scatter, x=data[s.start :], index=s.index, y=to[s.name], size=s.index.size)
            for s in self.slots if s.name in to
        ]).run()  # fmt: skip

    def pack(self, arrays: Mapping[str, Array], to: Array) -> None:
        """Write arrays of the users' shapes into memory that is laid out as the parameters are."""
        program([
            step(s.name, gather, x=np.ascontiguousarray(arrays[s.name], np.float32), index=s.index, y=to[s.start :],
                 size=s.index.size)
            for s in self.slots if s.learned
        ]).run()  # fmt: skip

    def like_users(self, data: Array) -> dict[str, Array]:
        """Return `data`, laid out as the parameters are, as new arrays of the users' shapes."""
        shapes = {s.name: s.holder.shapes[s.parameter] for s in self.slots if s.learned}
        arrays = {name: np.empty(shape, np.float32) for name, shape in shapes.items()}
        self._scatter(data, arrays)
        return arrays
