"""What the tiles share whose lanes are neighbouring channels: depthwise convolution and pooling.

The last vector of a pixel may reach beyond its channels. It is loaded whole, since what follows a pixel is memory of
the map or its slack, and stored under a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foveal.kernels.buffers import Map
from foveal.kernels.isa import ISA
from foveal.kernels.large import is_large
from foveal.kernels.tile import GROUP, I64, Emitter


def pixels_go_past(y: Map, isa: ISA) -> bool:
    """Return whether `y` is written past the caches: it is large, and its pixels are whole cache lines.

    A line that is written past the caches is not read from memory first. That pays only if one store fills it.
    """
    return is_large(y) and isa.lanes == 16 and y.pixel % 16 == 0 and y.address % 64 == 0


def fetch(e: Emitter, places: Sequence[Any], ahead: Any) -> None:
    """Fetch what stands `ahead` floats behind each of `places` into the second-level cache."""
    for place in places:
        e.prefetch(e.at(place, ahead), level=2)


def store_channels(e: Emitter, pixels: Sequence[tuple[Sequence[Any], Any]], live: Any, past: bool = False) -> None:
    """Store the vectors of each pixel at its place; of all lanes only the first `live` ones, if they are more."""
    b, V = e.b, e.V
    whole, partial, done = (e.function.append_basic_block(n) for n in ("whole", "partial", "done"))
    vectors = len(pixels[0][0])
    b.cbranch(b.icmp_signed("<", live, I64(vectors * V)), partial, whole)
    b.position_at_end(whole)
    for values, place in pixels:
        for i, value in enumerate(values):
            to = e.at(place, I64(i * V))
            e.store_past(value, to) if past else b.store(value, to, align=4)
    b.branch(done)
    b.position_at_end(partial)
    masks = [e.below(b.sub(live, I64(i * V))) for i in range(vectors)]
    for values, place in pixels:
        for i, (value, mask) in enumerate(zip(values, masks, strict=True)):
            e.store(value, e.at(place, I64(i * V)), mask)
    b.branch(done)
    b.position_at_end(done)


class Pixels:
    """The addresses of `count` pixels a stride apart: GROUP of them need one register (see `Emitter.rows`)."""

    def __init__(self, e: Emitter, stride: Any, count: int) -> None:
        self.e, self.count = e, count
        self._strides = e.b.mul(stride, I64(4)), e.b.mul(stride, I64(12))
        self._groups = [e.b.mul(stride, I64(first)) for first in range(0, count, GROUP)]

    def of(self, start: Any) -> list[Any]:
        """Return the addresses from `start` on."""
        return self.e.rows([self.e.at(start, g) for g in self._groups], self._strides)[: self.count]


def vectors_of(e: Emitter, channels: Any, vectors: int = 1) -> Any:
    """Return how many groups of so many vectors hold the channels."""
    lanes = vectors * e.V
    return e.b.sdiv(e.b.add(channels, I64(lanes - 1)), I64(lanes))
