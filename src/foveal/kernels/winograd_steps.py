"""When Winograd's minimal filtering takes the place of the direct sums, and how its operands lie in memory."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels import convolution as loops
from foveal.kernels import winogradtile
from foveal.kernels.assembler import assemble
from foveal.kernels.buffers import Scratch, zeros
from foveal.kernels.isa import ISA
from foveal.kernels.panels import Panels
from foveal.kernels.steps import Step, step
from foveal.kernels.tiles import choose_outer, outer_cycles

OUTPUTS = {3: (4, 3, 2), 5: (3, 2)}  # the m of F(m, S) for each S that has one
NEARLY = 0.85  # share of the direct tile's cycles from which on it is taken: both are estimates
FIRST_LEVEL = 28_000  # bytes of transformed filters that stay in the first-level cache
SECOND_LEVEL = 1_000_000  # bytes of filters that stay in the second-level cache
FROM_SECOND, FROM_THIRD = 32, 10  # bytes that come in a cycle from there, and from beyond it
TASKS = 8  # of a step, at least, so that all threads have work: few images are cut


@dataclass(frozen=True)
class Winograd:
    """F(m, S) along the rows of one convolution: how many patches side by side, and their order in memory.

    Parameters
    ----------
    m, R : int
        Outputs of a patch, patches of a register tile.
    cut : Panels
        The filters as they are packed; their taps are kernel rows of S pixels of `depth` channels.
    S, depth : int
        Kernel columns and channels.
    """

    isa: ISA
    m: int
    R: int
    cut: Panels
    S: int
    depth: int

    @property
    def n(self) -> int:
        """Points: numbers of a transformed patch of one channel."""
        return self.m + self.S - 1

    @property
    def strides(self) -> tuple[int, int, int]:
        """Floats from a patch to the next, from a point to the next, from a channel to the next."""
        if self.depth == 1:
            return self.n, 1, 1
        point = -(-self.depth // self.isa.lanes) * self.isa.lanes
        return self.n * point, point, 1

    @property
    def units(self) -> tuple[int, int]:
        """Register tiles in a row, and 1 more if that leaves a rest: it ends where the row ends."""
        outputs = self.R * self.m
        return self.cut.rows // outputs, int(self.cut.rows % outputs > 0)

    @property
    def row(self) -> int:
        """Floats of a transformed row."""
        return sum(self.units) * self.R * self.strides[0]

    @property
    def some(self) -> int:
        """Channels at a time: those whose transformed filters, of a panel, stay in the first-level cache."""
        return max(1, FIRST_LEVEL // (4 * len(self.cut.taps) * self.n * self.cut.tile.width))

    @property
    def cycles(self) -> float:
        """Cycles for a row of outputs of all panels: sums, results, and the row's patches."""
        V, C, depth = self.isa.lanes, self.cut.tile.C, len(self.cut.taps) * self.depth
        vectors, units = -(-self.cut.columns // V), sum(self.units)
        passes = sum(count > 0 for count in self.units)

        def unit(c: int) -> float:
            loads = self.n * (c + self.R) / 2 + 0.3
            sums = depth * max(1.1 * self.R * c * self.n / 2, loads)
            again = (self.depth - 1) // self.some  # times that results are added to y
            made = self.R * c * (0.5 * self.n + 1.5 * self.m) + 10
            return sums + made + again * (made + 1.5 * self.R * c * self.m) if c else 0.0

        patch = self.n if self.depth == 1 else -(-self.depth // V) * self.n * 4
        sums = units * (vectors // C * unit(C) + unit(vectors % C))
        return sums + units * self.R * patch + passes * _waits(self.n * self.depth, self.cut, FROM_SECOND)

    def _transform(self, which: str) -> int:
        shape = self.isa, self.m, self.S, which
        return assemble(winogradtile.transform_name(*shape), winogradtile.transform(*shape), self.isa)

    def _multiply(self, vectors: int) -> int:
        shape = self.isa, self.m, self.S, self.R, vectors
        return assemble(winogradtile.multiply_name(*shape), winogradtile.multiply(*shape), self.isa)

    def __str__(self) -> str:
        return f"F({self.m}, {self.S}) {self.R}x{self.cut.tile.C} ({self.isa.name})"

    def filters(self, name: str, w: NDArray[Any]) -> tuple[Step, NDArray[Any]]:
        """Return the step that transforms the packed filters, and where they are then."""
        cut = self.cut
        u = zeros(len(cut.taps) * self.n * self.depth * cut.padded)
        made = step(name, loops.winograd_filters, x=w, u=u, transform=self._transform("filter"), panels=cut.count,
                    T=len(cut.taps), S=self.S, points=self.n, depth=self.depth, width=cut.tile.width,
                    last_width=cut.last_width)  # fmt: skip
        return made, u

    def arguments(self, order: NDArray[np.int64], pixel: int, line: int, down: int, scratch: Scratch) -> dict[str, Any]:
        """Return the arguments of a kernel that computes rows of outputs this way.

        order : taps by number, list after list
        pixel, line, down : of x: floats to the next pixel and row, rows from an output row to the next
        """
        cut, (whole, more), (patch, point, channel) = self.cut, self.units, self.strides
        rows = [(t - min(cut.taps)) // line for t in cut.taps]  # of x, where the taps are
        patched = Panels(cut.tile, tuple(r * self.row for r in rows), self.n * self.depth, cut.columns, cut.rows)
        tiles = [self._multiply(cut.tile.C), self._multiply(cut.last_width // self.isa.lanes)]
        return {
            **patched.layout(order), "small": self.R * self.m, "few": whole, "more": more,
            "at": cut.rows - self.R * self.m, "edges": 0, "each": 1, "fetch": 0,
            "main": np.array(tiles[:1], np.int64), "last": np.array(tiles[1:], np.int64),
            "transform": self._transform("pixels" if self.depth == 1 else "patch"), "points": self.n,
            "depth": self.depth, "some": self.some, "beside": self.R, "pixel": pixel, "line": line, "down": down,
            "reach": max(rows) + 1, "patch": patch, "point": point, "channel": channel,
            "below": rows[-1] // max(1, len(rows) - 1) * self.row, "patch_row": self.row, "patches": scratch.memory,
            "patches_size": scratch.size,
        }  # fmt: skip

    def lines(self, down: int, reach: int) -> int:
        """Return for how many rows of outputs the scratch has room; see `arguments`."""
        return max(0, (self._room // self.row - reach) // down + 1)

    def tasks(self, planes: int, rows: int, down: int, reach: int) -> tuple[int, int]:
        """Return into how many parts panels are cut for a task, and how many of the rows of each plane it computes."""
        split = min(self.cut.count, -(-TASKS // planes))
        return split, min(self.lines(down, reach), -(-rows // -(-TASKS // (planes * split))))

    @property
    def _room(self) -> int:
        return Scratch.size - self.isa.lanes  # the last vector may be stored beyond a row


DIRECT = dict.fromkeys(loops.WINOGRAD.split(), 0)


def _waits(run: int, cut: Panels, near: float) -> float:
    """Return the cycles that a row of outputs waits for filters, which about as many rows share as a row has pixels.

    run : floats of a tap and filter; near : bytes in a cycle if the second-level cache holds them
    """
    size = 4 * len(cut.taps) * run * cut.columns
    return size / (FROM_THIRD if size > SECOND_LEVEL else near) / cut.rows


@functools.cache
def choose(
    cut: Panels, S: int, depth: int, vectors: tuple[int, ...], down: int, reach: int, least: int
) -> Winograd | None:
    """Return the way of F(m, S) with the fewest cycles for rows of a convolution, or None if direct sums take fewer.

    Parameters
    ----------
    cut : Panels
        The filters as direct sums would have them.
    S, depth : int
        Kernel columns and channels: a tap has one number for each of both.
    vectors : tuple of int
        How wide panels may be.
    down, reach, least : int
        Rows of x from an output row to the next, and those that one meets, from the first to the last; how many output
        rows are computed at once at least.
    """
    isa = cut.tile.isa
    room = isa.registers - (not isa.fma)
    ways = [
        Winograd(isa, m, R, replace(cut, tile=choose_outer(isa, cut.rows, cut.columns, C)), S, depth)
        for m in OUTPUTS.get(S, ()) for C in vectors for R in range(1, room)
        if R * C * (m + S - 1) + C + 1 <= room and R * m <= cut.rows
    ]  # fmt: skip
    ways = [way for way in ways if way.lines(down, reach) >= least]
    direct = outer_cycles(cut.tile, cut.rows, cut.columns, len(cut.taps) * cut.run) + _waits(cut.run, cut, np.inf)
    best = min(ways, key=lambda way: way.cycles, default=None)
    return best if best is not None and best.cycles < NEARLY * direct else None
