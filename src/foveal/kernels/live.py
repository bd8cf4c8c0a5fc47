"""Which taps of a convolution reach into the map: what would meet nothing but padding is skipped.

A kernel row that lies in the padding multiplies zeros. Of a 3x3 convolution of 13x13 maps with padding 1 these are 5 %
of all multiply-adds, with dilation 2 they are 10 %; kernel columns cost as much again. Rows are skipped row by row of
the output. Of columns, the first and the last tile of an output row leave out their first or last pixels (`edges`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

Reaches = NDArray[np.bool_]
Index = NDArray[np.int64]


def reaches(starts: Index, offsets: Index, size: int) -> Reaches:
    """Return of each output and tap on an axis whether it reads inside of the map, at ``start + offset``.

    Examples
    --------
    >>> reaches(np.arange(3) - 1, np.arange(3), size=3).astype(int)  # 3 outputs, kernel 3, padding 1
    array([[0, 1, 1],
           [1, 1, 1],
           [1, 1, 0]])
    """
    at = starts[:, None] + offsets
    inside: Reaches = (at >= 0) & (at < size)
    return inside


def by_row(planes: Reaches, rows: Reaches, each: int) -> tuple[Index, Index]:
    """Return taps by their numbers, list after list, and for each row of each plane (start, length) of its list.

    Taps are numbered plane by plane, row by row, with `each` of them in a kernel row. A row that meets none gets those
    of one kernel row, which read zeros.

    Examples
    --------
    >>> one_plane = np.ones((1, 1), bool)
    >>> by_row(one_plane, reaches(np.arange(3) - 1, np.arange(3), size=3), each=1)
    (array([1, 2, 0, 1, 0, 1, 2]), array([0, 2, 4, 3, 2, 2]))
    """
    live = planes[:, None, :, None, None] & rows[None, :, None, :, None] & np.ones(each, bool)
    kinds, which = np.unique(live.reshape(len(planes) * len(rows), -1), axis=0, return_inverse=True)
    kinds[~kinds.any(1), :each] = True
    counts = kinds.sum(1)
    starts = np.cumsum(counts) - counts
    return np.nonzero(kinds)[1], np.stack([starts, counts], 1)[which.ravel()].ravel()


def by_tap(planes: Reaches, rows: Reaches, columns: Reaches) -> Index:
    """Return for each tap the outputs that it reaches the map from: first plane, stop, first row, stop, column, stop.

    Examples
    --------
    >>> one = np.ones((1, 1), bool)
    >>> by_tap(one, reaches(np.arange(3) - 1, np.arange(3), size=3), one).reshape(3, 6)
    array([[0, 1, 1, 3, 0, 1],
           [0, 1, 0, 3, 0, 1],
           [0, 1, 0, 2, 0, 1]])
    """
    spans = [_span(p) + _span(r) + _span(c) for p in planes.T for r in rows.T for c in columns.T]
    return np.array(spans, np.int64).ravel()


def _span(live: Reaches) -> tuple[int, int]:
    at = np.flatnonzero(live)
    return (int(at[0]), int(at[-1]) + 1) if len(at) else (0, 0)


@dataclass(frozen=True)
class Piece:
    """Neighbouring kernel columns that meet the same pixels of a tile: `count` from `first` on, and which not.

    begin, end : so many pixels at the beginning, or at the end, of the tile meet only padding
    """

    first: int
    count: int
    begin: int
    end: int


def pieces(columns: Reaches, most: int, merge: bool) -> list[Piece]:
    """Return what a tile computes of a kernel row; `columns` says of its pixels and the kernel columns what is inside.

    Pixels are left out at one end only, and `most` of them at most; a column that meets none is left out.

    Examples
    --------
    >>> pieces(reaches(np.arange(3) - 1, np.arange(3), size=7), most=2, merge=True)  # the first 3 of 7, padding 1
    [Piece(first=0, count=1, begin=1, end=0), Piece(first=1, count=2, begin=0, end=0)]
    """
    found = []
    for s in range(columns.shape[1]):
        start, stop = _span(columns[:, s])
        begin, end = min(start, most), min(len(columns) - stop, most)
        if stop:
            found.append(Piece(s, 1, begin if begin >= end else 0, end if end > begin else 0))
    if not merge:
        return found
    groups = groupby(enumerate(found), lambda n: (n[1].first - n[0], n[1].begin, n[1].end))  # neighbours that are alike
    return [replace(same[0][1], count=len(same)) for same in (list(group) for _, group in groups)]


def saved(columns: Reaches, ends: Sequence[slice], most: int) -> float:
    """Return the share of a row's multiply-adds that the tiles at its ends leave out.

    Examples
    --------
    >>> round(saved(reaches(np.arange(13) - 1, np.arange(3), size=13), [slice(0, 13)], most=4), 4)
    0.0513
    """
    done = 0
    for pixels in (columns[end] for end in ends):
        done += pixels.size - sum(p.count * (len(pixels) - p.begin - p.end) for p in pieces(pixels, most, False))
    return done / columns.size
