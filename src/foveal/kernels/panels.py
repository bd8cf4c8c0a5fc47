"""A filter bank cut for a tile: what a convolution and its gradients multiply with, and how it lies in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.kernels.tiles import Tile, split, table

Index = NDArray[np.int64]


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

    def arguments(self, order: Index | None = None, kind: str = "outer") -> dict[str, Any]:
        """Return the fields of `convolution.PANELS` but `w`.

        order : the taps of the table, by number; all of them once if it is None
        kind : of the tiles, see `tiles.address`
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
            "lanes": t.isa.lanes,
        }  # fmt: skip
