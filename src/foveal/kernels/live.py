"""Which taps of a convolution reach into the map: a tap that meets nothing but padding is skipped, row by row.

A kernel row that lies in the padding multiplies zeros. Of a 3x3 convolution of 13x13 maps with padding 1 these are 5 %
of all multiply-adds, with dilation 2 they are 10 %. Columns are not skipped: a tile covers many of them at once.
"""

from __future__ import annotations

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

    Taps are numbered plane by plane, row by row, with `each` of them in a kernel row. A row that meets none gets one,
    which reads zeros.

    Examples
    --------
    >>> one_plane = np.ones((1, 1), bool)
    >>> by_row(one_plane, reaches(np.arange(3) - 1, np.arange(3), size=3), each=1)
    (array([1, 2, 0, 1, 0, 1, 2]), array([0, 2, 4, 3, 2, 2]))
    """
    live = planes[:, None, :, None, None] & rows[None, :, None, :, None] & np.ones(each, bool)
    kinds, which = np.unique(live.reshape(len(planes) * len(rows), -1), axis=0, return_inverse=True)
    kinds[~kinds.any(1), 0] = True
    counts = kinds.sum(1)
    starts = np.cumsum(counts) - counts
    return np.nonzero(kinds)[1], np.stack([starts, counts], 1)[which.ravel()].ravel()


def by_tap(planes: Reaches, rows: Reaches, each: int) -> Index:
    """Return for each tap the outputs that it reaches the map from: first plane, stop, first row, stop.

    Examples
    --------
    >>> one_plane = np.ones((1, 1), bool)
    >>> by_tap(one_plane, reaches(np.arange(3) - 1, np.arange(3), size=3), each=1).reshape(3, 4)
    array([[0, 1, 1, 3],
           [0, 1, 0, 3],
           [0, 1, 0, 2]])
    """
    spans = [_span(p) + _span(r) for p in planes.T for r in rows.T]
    return np.repeat(np.array(spans, np.int64), each, axis=0).ravel()


def _span(live: Reaches) -> tuple[int, int]:
    at = np.flatnonzero(live)
    return (int(at[0]), int(at[-1]) + 1) if len(at) else (0, 0)
