"""How one affine layer runs: packing, tiles, and the steps of its forward and its two gradients."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import affine as loops
from foveal.kernels.buffers import ALIGN, Map
from foveal.kernels.isa import ISA
from foveal.kernels.steps import Step, one_tap, step
from foveal.kernels.tiles import choose_inner, choose_outer, table

NONE = -float("inf")
BLOCK = 1100  # features of a forward block: the rows of a tile stay in L1, all of x in L2
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
    def weight_index(self) -> Index:
        """For each float of the packed weight (units, pixels*C) its place in the users' (C*pixels, units), or -1."""
        order = np.arange(self.features).reshape(self.shape[0], -1).T.ravel()
        index = np.full((self.units, self.padded), -1, np.int64)
        index[:, : self.features] = order * self.units + np.arange(self.units)[:, None]
        return index.ravel()

    @functools.cached_property
    def bias_index(self) -> Index:
        """The packed bias is the bias."""
        return np.arange(self.units)

    def forward(
        self, name: str, x: Map, w: NDArray[Any], bias: NDArray[Any], y: Map, floor: float = NONE
    ) -> list[Step]:
        """Return the steps of y = max(floor, x w^T + bias), one for each block of features."""
        t = choose_inner(self.isa, self.units)
        V, last = self.isa.lanes, self.units % t.C or t.C
        blocks = -(-self.padded // BLOCK)
        bounds = [b * (self.padded // V) // blocks * V for b in range(blocks + 1)]
        tables = {"main": table("inner", t, t.C, None), "last": table("inner", t, last, None)}
        return [
            step(name, loops.affine_forward, tile=str(t), macs=x.n * self.units * (stop - start), keep=(x, w, bias, y),
                 x=x.address + 4 * start, xs=x.image, w=w.ctypes.data + 4 * start, ws=self.padded,
                 K=(stop - start) // V, init=bias if start == 0 else y.address, init_row=0 if start == 0 else y.image,
                 y=y.address, ys=y.image,
                 n=x.n, units=self.units, C=t.C, R=t.R, floor=floor if stop == self.padded else NONE, **tables)
            for start, stop in itertools.pairwise(bounds)
        ]  # fmt: skip

    def _panels(self, rows: int, known: int | None) -> tuple[str, dict[str, Any]]:
        t = choose_outer(self.isa, rows, self.padded)
        V = self.isa.lanes
        panels = -(-self.padded // t.width)
        last = self.padded - (panels - 1) * t.width
        one, zero = one_tap(self.isa)
        main = table("outer", t, t.C, known) if panels > 1 else np.zeros(1, np.int64)
        return str(t), {
            "one_tap": one, "zeros": zero, "width": t.width, "last_width": last, "panels": panels, "R": t.R, "lanes": V,
            "main": main, "last": table("outer", t, last // V, known),
        }  # fmt: skip

    def weight_gradient(self, name: str, x: Map, dy: Map, dw: NDArray[Any], db: NDArray[Any]) -> list[Step]:
        """Return the step of dw (packed as w) and db."""
        tile, panels = self._panels(self.units, self.units)
        return [
            step(name, loops.affine_weight_gradient, tile=tile, macs=x.n * self.weight_size, keep=(x, dy, dw, db),
                 dy=dy.address, dys=dy.image, x=x.address, xs=x.image, dw=dw, dws=self.padded, db=db, n=x.n,
                 units=self.units, **panels)
        ]  # fmt: skip

    def input_gradient(self, name: str, dy: Map, w: NDArray[Any], dx: Map) -> list[Step]:
        """Return the step of dx."""
        tile, panels = self._panels(dy.n, None)
        return [
            step(name, loops.affine_input_gradient, tile=tile, macs=dy.n * self.weight_size, keep=(dy, w, dx),
                 dy=dy.address, dys=dy.image, w=w, ws=self.padded, dx=dx.address, dxs=dx.image, n=dy.n,
                 units=self.units, **panels)
        ]  # fmt: skip
