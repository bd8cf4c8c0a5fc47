"""Which tile for which loop: register arithmetic, and the table of tiles made so far.

A loop over `rows` rows and `columns` float32 columns is covered by panels of C vectors and, in each panel, by tiles of
at most R rows. Rows are dealt out evenly (13 + 14, never 14 + 13 ones), so no tile is nearly empty. The cost of a
tile for one k is the largest of what the multiply-add units, the load ports and the latency of an accumulator chain
take; the choice minimises the sum.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import tile
from foveal.kernels.assembler import assemble
from foveal.kernels.isa import ISA

PAST = "_past"  # kind of a tile that writes y past the caches
LOAD = 0.08  # cycles
EACH = 1.5  # cycles that an accumulator costs however many products it adds up
FAR = 0.25  # cycles more for a vector of w, where a panel of w has more bytes than NEAR: it comes from beyond L1, for
NEAR = 200_000  # each tile again, and does not always come in time


@dataclass(frozen=True)
class Tile:
    """R rows by C vectors (outer) or C rows of w (inner), for one instruction set."""

    isa: ISA
    R: int
    C: int

    @property
    def width(self) -> int:
        """Columns in a full panel of an outer tile."""
        return self.C * self.isa.lanes

    def __str__(self) -> str:
        return f"{self.R}x{self.C} ({self.isa.name})"


@functools.cache
def address(kind: str, isa: ISA, R: int, C: int) -> int:
    """Return the address of a tile, assembled at its first use.

    kind : "inner", or "outer", perhaps with "_x", "_w" or "_soon", what it fetches ahead, and "_past"
    """
    if kind != "inner":
        fetch, past = kind.removesuffix(PAST).removeprefix("outer").removeprefix("_"), kind.endswith(PAST)
        return assemble(tile.outer_name(isa, R, C, fetch, past), tile.outer(isa, R, C, fetch, past), isa)
    return assemble(f"sgemm_inner_{isa.name}_{R}x{C}", tile.inner(isa, R, C), isa)


@functools.cache
def edge_address(isa: ISA, R: int, C: int, most: int, past: bool = False) -> int:
    """Return the address of an edge tile that leaves out up to `most` rows, assembled at its first use."""
    return assemble(tile.edge_name(isa, R, C, most, past), tile.edge(isa, R, C, most, past), isa)


def split(rows: int, R: int) -> tuple[int, int, int]:
    """Deal `rows` out to tiles of at most R: (tiles, rows of a small tile, tiles with one row more).

    Examples
    --------
    >>> split(27, 14), split(24, 14), split(112, 14)
    ((2, 13, 1), (2, 12, 0), (8, 14, 0))
    """
    tiles = -(-rows // R)
    return tiles, rows // tiles, rows % tiles


def table(kind: str, t: Tile, C: int, rows: int | None) -> NDArray[np.int64]:
    """Return the addresses of the tiles by their number of rows, 0 .. t.R.

    rows : the number of rows if it is known, so that only the one or two tiles it needs are made; None for all.
    """
    if rows is None:
        needed = set(range(1, t.R + 1))
    else:
        _, small, more = split(rows, t.R)
        needed = {small, small + 1} if more else {small}
    return np.array([address(kind, t.isa, r, C) if r in needed else 0 for r in range(t.R + 1)], np.int64)


def _room(isa: ISA) -> int:
    """Return the registers that a tile may count on; without fused multiply-adds a product needs one of its own."""
    return isa.registers - (not isa.fma)


def outer_candidates(isa: ISA) -> list[tuple[int, int]]:
    """Return every (R, C) that fits: R*C accumulators, C weights and one broadcast value."""
    return [(R, C) for C in range(1, 5) for R in range(1, isa.registers) if _room(isa) >= R * C + C + 1]


def _outer_cost(isa: ISA, R: int, C: int) -> float:
    """Cycles for one k: multiply-adds (2 a cycle), loads (2 a cycle), or the chain of one accumulator; a load costs.

    LOAD is what a load adds although it should be hidden; measured, tiles with fewer loads are a little faster.
    """
    return max(R * C / 2, (R + C) / 2 + 0.25, isa.latency / 2) + LOAD * (R + C)


def outer_cycles(t: Tile, rows: int, columns: int, depth: int) -> float:
    """Return the cycles of rows x columns, `depth` multiply-adds each, with this outer tile, if w comes in time."""
    tiles, small, more = split(rows, t.R)

    def panel(c: int) -> float:
        def one(r: int) -> float:
            return depth * _outer_cost(t.isa, r, c) + EACH * r * c

        return more * one(small + 1) + (tiles - more) * one(small) if c else 0.0

    vectors = -(-columns // t.isa.lanes)
    return vectors // t.C * panel(t.C) + panel(vectors % t.C)


@functools.cache
def choose_outer(isa: ISA, rows: int, columns: int, vectors: int = 0, depth: int = 0) -> Tile:
    """Return the outer tile that covers rows x columns in the fewest cycles.

    vectors : its C, if it is given
    depth : number of k, if the tile may depend on how much w there is

    Examples
    --------
    >>> from foveal.kernels.isa import named
    >>> print(choose_outer(named("avx512"), 24, 30), choose_outer(named("avx2"), 24, 30))
    12x2 (avx512) 6x2 (avx2)
    """

    def cost(shape: tuple[int, int]) -> tuple[float, int]:
        R, C = shape
        vectors = -(-columns // isa.lanes)
        tiles, small, more = split(rows, R)

        def panel(c: int) -> float:
            far = FAR * c * tiles if 4 * depth * c * isa.lanes > NEAR else 0.0
            return more * _outer_cost(isa, small + 1, c) + (tiles - more) * _outer_cost(isa, small, c) + far if c else 0

        return vectors // C * panel(C) + panel(vectors % C), -R * C

    R, C = min((s for s in outer_candidates(isa) if vectors in (0, s[1])), key=cost)
    _, small, more = split(rows, R)
    return Tile(isa, small + (more > 0), C)


@functools.cache
def choose_inner(isa: ISA, columns: int) -> Tile:
    """Return the inner tile: R*C accumulators, R values of x and one of w; nearly square loads least.

    `columns` is the number of rows of w; a C that divides it leaves no edge.
    """
    shapes = [(R, C) for R in range(2, 6) for C in range(2, 6) if _room(isa) >= R * C + R + 1]
    R, C = max(shapes, key=lambda s: (columns / (-(-columns // s[1]) * s[1]) * s[0] * s[1] / (s[0] + s[1]), s[0]))
    return Tile(isa, R, C)
