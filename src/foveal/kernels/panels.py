"""A filter bank cut for a tile: what a convolution and its gradients multiply with, and how it lies in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels.convolution import EDGE
from foveal.kernels.live import Piece, Reaches, pieces, saved
from foveal.kernels.tiles import PAST, Tile, edge_address, split, table

Index = NDArray[np.int64]
MOST = 4  # pixels at an end of a row that a tile leaves out where they meet only padding
WORTH = 0.015  # share of multiply-adds from which on that pays
SHORTEST = 16  # floats of a run, likewise


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
        tiles, small, more = split(rows, t.R)
        few, at, edges = tiles - more, 0, None if columns is None else self.edges(numbers, columns, each, kind)
        if edges is not None:  # the first tile and the last one are apart
            at = small + (more > 0)
            few, more = max(0, few - (1 if more else 2)), max(0, more - 1)
        return {
            "small": small, "few": few, "more": more, "at": at, "each": each, "edges": 0 if edges is None else edges,
            "main": table(kind, t, t.C, rows) if self.count > 1 else np.zeros(1, np.int64),
            "last": table(kind, t, self.last_width // t.isa.lanes, rows),
            **self.layout(numbers),
        }  # fmt: skip

    def layout(self, numbers: Index) -> dict[str, Any]:
        """Return the fields of `convolution.PANELS` that say how the filters lie; `numbers`: the taps of the table."""

        def taps(width: int) -> Index:
            return np.stack([np.array(self.taps, np.int64)[numbers], numbers * self.run * width], 1).ravel()

        return {
            "taps": taps(self.tile.width), "last_taps": taps(self.last_width), "T": len(self.taps), "K": self.run,
            "width": self.tile.width, "last_width": self.last_width, "panels": self.count, "channels": self.columns,
            "lanes": self.tile.isa.lanes,
        }  # fmt: skip

    def edges(self, numbers: Index, columns: Reaches, each: int, kind: str = "outer") -> Index | None:
        """Return what the tiles at the ends of a row do: two times EDGE numbers, and taps; None if it does not pay.

        The numbers are the tiles for a full panel and for the last one, where the taps of these stand, how many taps a
        kernel row has, and the first pixel. Taps are those of `tile.edge`, kernel row after kernel row, as `numbers`
        names them. A row of one tile has one end.
        """
        tiles, small, more = split(self.rows, self.tile.R)
        ends = [slice(0, small + (more > 0)), slice(self.rows - small, self.rows)][:tiles]
        unit = self.run * each // columns.shape[1]
        most = int(min(MOST, small - 1, max((~columns).sum(0))))
        if unit < SHORTEST or most < 1 or saved(columns, ends, most) < WORTH:
            return None
        head, taps, widths = np.zeros((2, EDGE), np.int64), [np.empty(0, np.int64)], (self.tile.width, self.last_width)
        for side, end in enumerate(ends):
            row = pieces(columns[end], most, merge=each == 1)
            if not row:
                return None
            head[side, 4:] = len(row), end.start
            for i, width in enumerate(widths[self.count == 1 :], self.count == 1):
                vectors = width // self.tile.isa.lanes
                head[side, i] = edge_address(self.tile.isa, end.stop - end.start, vectors, most, kind.endswith(PAST))
                head[side, 2 + i] = head.size + sum(t.size for t in taps)
                taps.append(
                    np.array([self._edge_tap(f, p, each, unit, width, most) for f in numbers[::each] for p in row])
                )
        return np.concatenate([head, *taps], axis=None)

    def _edge_tap(self, first: int, p: Piece, each: int, unit: int, width: int, most: int) -> tuple[int, int, int, int]:
        """Return X, W, K and case of `tile.edge` for a piece of the kernel row whose first tap is number `first`."""
        tap, at = (first + p.first, 0) if each > 1 else (first, p.first * unit)
        case = most + p.end if p.end else p.begin
        return self.taps[tap] + at, (tap * self.run + at) * width, p.count * unit, case
