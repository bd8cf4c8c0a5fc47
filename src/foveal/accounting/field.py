"""Receptive fields: which cells of the network's input a position of a map depends on, exactly, branches included.

On one axis the cells that position i depends on are bounded by two numbers, and these repeat: after `period` positions
they are the same, `shift` cells further on. A convolution has a period of 1 and a shift of its stride; behind a
transposed convolution the period is its stride. Where branches with different rates meet, each keeps its own, and a
position depends on what any of them depends on.

Cells are counted from 0 at the first cell of the input; padding has cells too, below 0 and beyond the end. So the field
of a position at the border is as large as that of any other, as it is usually given. What such a position really
depends on is less, since padding between layers depends on nothing; that is counted beside it, position by position.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from foveal.accounting.windows import NOTHING, Axis, Cells

_FAR = np.iinfo(np.int64).max // 4  # no cell is there: first of none, and minus it last of none


@dataclass(frozen=True, eq=False)
class Rhythm:
    """First and last cell for each position of a period; position i + period has those of i, `shift` further on."""

    first: Cells
    last: Cells
    shift: int

    @property
    def period(self) -> int:
        """After how many positions it repeats."""
        return len(self.first)

    @property
    def jump(self) -> Fraction:
        """Cells from a position to the next, on average."""
        return Fraction(self.shift, self.period)

    def hulls(self, positions: Cells) -> tuple[Cells, Cells]:
        """Return first and last cell of any positions; where there is none, the first lies behind the last."""
        turns, phase = np.divmod(positions, self.period)
        first, last = self.first[phase], self.last[phase]
        none = first > last
        return np.where(none, _FAR, first + turns * self.shift), np.where(none, -_FAR, last + turns * self.shift)

    def through(self, axis: Axis) -> Rhythm:
        """Return what the outputs of a window depend on that reads this."""
        if axis.spread:
            period, shift = self.period * axis.stride, self.shift
        else:
            period = self.period // math.gcd(self.period, axis.stride)
            shift = self.shift * (period * axis.stride // self.period)
        reads = axis.reads(np.arange(period))
        first, last = self.hulls(np.where(reads == NOTHING, 0, reads))
        first, last = np.where(reads == NOTHING, _FAR, first), np.where(reads == NOTHING, -_FAR, last)
        return Rhythm(first.min(axis=1), last.max(axis=1), shift)

    def union(self, other: Rhythm) -> Rhythm:
        """Return what depends on either; both have the same jump."""
        period = math.lcm(self.period, other.period)
        (a, b), (c, d) = self.hulls(np.arange(period)), other.hulls(np.arange(period))
        return Rhythm(np.minimum(a, c), np.maximum(b, d), self.shift * (period // self.period))


@dataclass(frozen=True, eq=False)
class Field:
    """The receptive field of a map on one axis.

    Attributes
    ----------
    rhythms : tuple of Rhythm
        One for each jump that occurs; nearly always one.
    first, last : ndarray of shape (positions,), int64
        The cells of the input that each position really depends on, from the first to the last. Where there is none,
        the first lies behind the last.

    Examples
    --------
    >>> field = Field.of_input(224)
    >>> for axis in (Axis(224, 112, 7, 2, before=3, after=2), Axis(112, 56, 3, 2, after=1)):
    ...     field = field.through(axis)
    >>> field.size, str(field.jump), field.start
    (11, '4', -3)
    >>> field.first[:3], field.last[:3]
    (array([0, 1, 5]), array([ 7, 11, 15]))
    """

    rhythms: tuple[Rhythm, ...]
    first: Cells
    last: Cells

    @classmethod
    def of_input(cls, size: int) -> Field:
        """Return the field of the input itself: each cell depends on itself."""
        return cls((Rhythm(np.zeros(1, np.int64), np.zeros(1, np.int64), 1),), np.arange(size), np.arange(size))

    def through(self, axis: Axis) -> Field:
        """Return the field of the outputs of a window that reads this map."""
        cells = axis.cells()
        first = np.where(cells == NOTHING, _FAR, self.first[np.maximum(cells, 0)]).min(axis=1)
        last = np.where(cells == NOTHING, -_FAR, self.last[np.maximum(cells, 0)]).max(axis=1)
        return Field(tuple(rhythm.through(axis) for rhythm in self.rhythms), first, last)

    @property
    def empty(self) -> bool:
        """Whether no position depends on any cell."""
        return bool((self.first > self.last).all())

    def emptied(self) -> Field:
        """Return the field of positions that depend on nothing, because they do not on another axis."""
        return Field(self.rhythms, np.full_like(self.first, _FAR), np.full_like(self.last, -_FAR))

    @staticmethod
    def union(fields: Iterable[Field]) -> Field:
        """Return the field of a sum or concatenation of maps of one size."""
        given = list(fields)
        merged: dict[Fraction, Rhythm] = {}
        for rhythm in (r for field in given for r in field.rhythms):
            merged[rhythm.jump] = merged[rhythm.jump].union(rhythm) if rhythm.jump in merged else rhythm
        first, last = np.min([f.first for f in given], axis=0), np.max([f.last for f in given], axis=0)
        return Field(tuple(merged.values()), first, last)

    def hulls(self) -> tuple[Cells, Cells]:
        """Return first and last cell of every position of the map, (positions,) each; padding has cells too."""
        first, last = zip(*(rhythm.hulls(np.arange(len(self.first))) for rhythm in self.rhythms), strict=True)
        return np.min(first, axis=0), np.max(last, axis=0)

    @property
    def size(self) -> int:
        """Cells from the first to the last; the largest, if positions differ. 0: it depends on nothing."""
        first, last = self.hulls()
        return max(0, int((last - first).max()) + 1)

    @property
    def jump(self) -> Fraction | None:
        """Cells from one position to the next, on average; None where branches with different jumps meet."""
        return self.rhythms[0].jump if len(self.rhythms) == 1 else None

    @property
    def start(self) -> int | None:
        """The first cell that position 0 depends on; below 0 it lies in the padding. None: there is none."""
        first, last = self.hulls()
        return int(first[0]) if first[0] <= last[0] else None
