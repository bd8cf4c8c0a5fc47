"""How one affine layer runs: packing, tiles, and the steps of its forward and its two gradients."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import affine as loops
from foveal.kernels.buffers import ALIGN, Map, zeros
from foveal.kernels.isa import ISA
from foveal.kernels.steps import Step, one_tap, step
from foveal.kernels.tiles import choose_inner, choose_outer, table
from foveal.kernels.update import COEFFICIENTS

NONE = -float("inf")
BLOCK = 1100  # features of a block: the rows of a forward tile stay in L1, all of x in L2
PIECE = 4 * ALIGN  # features: blocks begin at multiples of it, so that few panels are narrow
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Matrix:
    """An affine layer's geometry: features of a map in memory order, `units` outputs.

    Parameters
    ----------
    shape : tuple of int
        Of one input: (C, *spatial), or (F,) for a vector.
    units : int
    isa : ISA
    """

    shape: tuple[int, ...]
    units: int
    isa: ISA

    @property
    def features(self) -> int:
        """Inputs of a unit."""
        return math.prod(self.shape)

    @property
    def padded(self) -> int:
        """Floats of a row of w: the features, rounded up as in `buffers.Map`."""
        return -(-self.features // ALIGN) * ALIGN

    @property
    def weight_size(self) -> int:
        """Floats of the packed weight."""
        return self.units * self.padded

    @property
    def bias_size(self) -> int:
        """Floats of the packed bias."""
        return self.units

    @functools.cached_property
    def blocks(self) -> list[tuple[int, int]]:
        """The blocks of features in which w is kept: the first feature of each, and how many."""
        pieces, count = -(-self.padded // PIECE), -(-self.padded // BLOCK)
        bounds = [*(b * pieces // count * PIECE for b in range(count)), self.padded]
        return [(start, stop - start) for start, stop in itertools.pairwise(bounds)]

    @functools.cached_property
    def weight_index(self) -> Index:
        """For each float of the packed weight, (units, features) in each block, its place in the users' or -1.

        The users' is (C*pixels, units), the packed features are in memory order: (pixels, C).
        """
        order = np.arange(self.features).reshape(self.shape[0], -1).T.ravel()
        index = np.full((self.units, self.padded), -1, np.int64)
        index[:, : self.features] = order * self.units + np.arange(self.units)[:, None]
        return np.concatenate([index[:, start : start + size].ravel() for start, size in self.blocks])

    @functools.cached_property
    def bias_index(self) -> Index:
        """The packed bias is the bias."""
        return np.arange(self.units)

    def forward(
        self, name: str, x: Map, w: NDArray[Any], bias: NDArray[Any], y: Map, floor: float = NONE
    ) -> list[Step]:
        """Return the steps of y = max(floor, x w^T + bias): the part of each block of features, and their sum."""
        t, count = choose_inner(self.isa, self.units), len(self.blocks)
        last = self.units % t.C or t.C
        alone = count == 1
        parts: Any = y.address if alone else zeros(count * x.n * y.image)
        part = {"parts": parts, "part_size": x.n * y.image, "count": count, "ys": y.image, "n": x.n}
        steps = [
            step(name, loops.affine_forward, tile=str(t), macs=x.n * self.weight_size, keep=(x, w, bias, y),
                 x=x.address, xs=x.image, w=w, blocks=np.array(self.blocks, np.int64).ravel(), lanes=self.isa.lanes,
                 bias=bias, zeros=zeros(t.C), units=self.units, C=t.C, R=t.R, floor=floor if alone else NONE,
                 main=table("inner", t, t.C, None), last=table("inner", t, last, None), **part)
        ]  # fmt: skip
        if not alone:
            steps.append(step(name, loops.affine_sum, keep=(y,), y=y.address, units=self.units, floor=floor, **part))
        return steps

    def _panels(self, rows: int, known: int | None, vectors: int = 0) -> tuple[str, dict[str, Any]]:
        """Return the tile of a gradient, and its panels: the vectors of features of each block, some at a time.

        vectors : how many, if it is given
        """
        t = choose_outer(self.isa, rows, self.padded, vectors)
        one, zero = one_tap(self.isa)
        tiles: dict[int, Index] = {}
        rows_of_table = []
        for start, size in self.blocks:
            for at in range(0, size, t.width):
                width = min(t.width, size - at)
                if width not in tiles:
                    tiles[width] = table("outer_w", t, width // self.isa.lanes, known)
                address = tiles[width].ctypes.data
                rows_of_table.append((start + at, width, 4 * (self.units * start + at), size, address))
        return str(t), {
            "one_tap": one, "zeros": zero, "table": np.array(rows_of_table, np.int64).ravel(),
            "panels": len(rows_of_table), "ahead": t.width, "R": t.R, "lanes": self.isa.lanes,
            "keep": tuple(tiles.values()),
        }  # fmt: skip

    def weight_gradient(self, name: str, x: Map, dy: Map, dw: NDArray[Any], db: NDArray[Any]) -> list[Step]:
        """Return the step of dw (packed as w) and db."""
        tile, panels = self._panels(self.units, self.units)
        keep = (x, dy, *panels.pop("keep"))
        return [
            step(name, loops.affine_weight_gradient, tile=tile, macs=x.n * self.weight_size, keep=keep, dy=dy.address,
                 dys=dy.image, x=x.address, xs=x.image, dw=dw, db=db, n=x.n, units=self.units, **panels)
        ]  # fmt: skip

    def input_gradient(self, name: str, dy: Map, w: NDArray[Any], dx: Map) -> list[Step]:
        """Return the step of dx."""
        tile, panels = self._panels(dy.n, None)
        keep = (dy, dx, *panels.pop("keep"))
        return [
            step(name, loops.affine_input_gradient, tile=tile, macs=dy.n * self.weight_size, keep=keep,
                 dy=dy.address, dys=dy.image, w=w, dx=dx.address, dxs=dx.image, n=dy.n, units=self.units, **panels)
        ]  # fmt: skip

    def learning(
        self, name: str, kind: str, x: Map, dy: Map, weight: Sequence[NDArray[Any]], bias: Sequence[NDArray[Any]],
        db: NDArray[Any], dx: Map | None, threads: int, bias_decays: bool = True,
    ) -> Step:  # fmt: skip
        """Return the step of dx and of the update of weight and bias by the kernel of an optimizer.

        weight, bias : each with what the optimizer remembers of it
        """
        tile, panels = self._panels(self.units, self.units)
        width = panels["ahead"]
        _, others = self._panels(x.n, None, width // self.isa.lanes)
        keep = (x, dy, *([dx] if dx else []), *panels.pop("keep"), *others["keep"])
        (w, m, v), (b, bm, bv) = ([p, *states, p, p][:3] for p, *states in (weight, bias))
        return step(name, loops.LEARNING[kind], tile=tile, macs=(2 if dx else 1) * x.n * self.weight_size, keep=keep,
                    dy=dy.address, dys=dy.image, x=x.address, xs=x.image, w=w, m=m, v=v, b=b,
                    bm=bm, bv=bv, bias_decays=bias_decays, dx=dx.address if dx else 0,
                    dxs=dx.image if dx else 0, dw=zeros(threads * self.units * width), dw_size=self.units * width,
                    db=db, n=x.n, units=self.units, dx_table=others["table"], dx_R=others["R"], **panels,
                    **dict.fromkeys(COEFFICIENTS.split(), 0.0))  # fmt: skip
