"""A filter bank cut for a tile: what a convolution and its gradients multiply with, and how it lies in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels.live import Piece, Reaches, pieces, saved
from foveal.kernels.tiles import Tile, address, split, table

Index = NDArray[np.int64]
MOST = 4  # pixels at an end of a row that a tile leaves out where they meet only padding
WORTH = 0.015  # share of multiply-adds from which on that pays
SHORTEST = 16  # floats of a run, likewise
SIDE = 5  # numbers in the table of `Panels._edges` for each end of a row


@dataclass(frozen=True)
class Panels:
    """A filter bank cut for a tile: `taps` runs of `run` rows by `columns` filters, in panels of the tile's width.

    Attributes
    ----------
    tile : Tile
    taps : tuple of int
        Where each run starts in the map that it meets, in floats.
    run, columns : int
    rows : int
        Rows that the tile covers.
    """

    tile: Tile
    taps: tuple[int, ...]
    run: int
    columns: int
    rows: int

    @property
    def count(self) -> int:
        """The number of panels."""
        return -(-self.columns // self.tile.width)

    @property
    def last_width(self) -> int:
        """Columns of the last panel, rounded up to whole vectors."""
        V = self.tile.isa.lanes
        return -(-(self.columns - (self.count - 1) * self.tile.width) // V) * V

    @property
    def padded(self) -> int:
        """Columns of all panels."""
        return (self.count - 1) * self.tile.width + self.last_width

    @property
    def size(self) -> int:
        """Floats of the packed filter bank."""
        return len(self.taps) * self.run * self.padded

    def pack(self, index: Index) -> Index:
        """Order `index` (taps, run, columns) as the packed bank; padding becomes -1."""
        full = np.full((len(self.taps) * self.run, self.padded), -1, np.int64)
        full[:, : self.columns] = index.reshape(len(self.taps) * self.run, self.columns)
        width = self.tile.width
        return np.concatenate([full[:, p * width : (p + 1) * width].ravel() for p in range(self.count)])

    def arguments(
        self, order: Index | None = None, kind: str = "outer", columns: Reaches | None = None, each: int = 1
    ) -> dict[str, Any]:
        """Return the fields of `convolution.PANELS` but `w`.

        order : the taps of the table, by number; all of them once if it is None
        kind : of the tiles, see `tiles.address`
        columns : which kernel columns each pixel of a row meets; None if all
        each : taps in a kernel row; if it has more columns, they are neighbours in its run
        """
        t, rows = self.tile, self.rows
        numbers = np.arange(len(self.taps)) if order is None else order

        def taps(width: int) -> Index:
            return np.stack([np.array(self.taps, np.int64)[numbers], numbers * self.run * width], 1).ravel()

        tiles, small, more = split(rows, t.R)
        return {
            "small": small, "few": tiles - more, "more": more,
            "main": table(kind, t, t.C, rows) if self.count > 1 else np.zeros(1, np.int64),
            "last": table(kind, t, self.last_width // t.isa.lanes, rows),
            "taps": taps(t.width), "last_taps": taps(self.last_width), "T": len(self.taps), "K": self.run,
            "width": t.width, "last_width": self.last_width, "panels": self.count, "channels": self.columns,
            "lanes": t.isa.lanes, "each": each, "edges": 0 if columns is None else self._edges(numbers, columns, each),
        }  # fmt: skip

    def _edges(self, numbers: Index, columns: Reaches, each: int) -> Index | int:
        """Return for both ends of a row: tile and taps of a full panel, of the last one, taps in a kernel row.

        0 if it does not pay. The taps are those of `tile.edge`, kernel row after kernel row, as `numbers` names them.
        """
        tiles, small, more = split(self.rows, self.tile.R)
        sizes = [small + 1] * more + [small] * (tiles - more)
        unit = self.run * each // columns.shape[1]
        most = int(min(MOST, min(sizes[0], sizes[-1]) - 1, max((~columns).sum(0))))
        if unit < SHORTEST or most < 1 or saved(columns, sizes, most) < WORTH:
            return 0
        sides, taps, at = [], [], 2 * SIDE
        for size, rows in ((sizes[0], columns[: sizes[0]]), (sizes[-1], columns[-sizes[-1] :])):
            row = pieces(rows, most, merge=each == 1)
            places = []
            for width in (self.tile.width, self.last_width):
                table = [self._edge_tap(first, p, each, unit, width, most) for first in numbers[::each] for p in row]
                places.append(at)
                taps.append(np.array(table, np.int64).ravel())
                at += taps[-1].size
            tile = [address(f"edge{most}", self.tile.isa, size, w // self.tile.isa.lanes) if n else 0
                    for w, n in ((self.tile.width, self.count > 1), (self.last_width, True))]  # fmt: skip
            sides += [*tile, *places, len(row)]
        return np.concatenate([np.array(sides, np.int64), *taps])

    def _edge_tap(self, first: int, p: Piece, each: int, unit: int, width: int, most: int) -> tuple[int, int, int, int]:
        """Return X, W, K and case of `tile.edge` for a piece of the kernel row whose first tap is number `first`."""
        tap, at = (first + p.first, 0) if each > 1 else (first, p.first * unit)
        case = most + p.end if p.end else p.begin
        return self.taps[tap] + at, (tap * self.run + at) * width, p.count * unit, case
