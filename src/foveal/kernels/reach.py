"""What the outputs of a pooling meet, forward and backward: integers that are worked out once, when a plan is made.

Backward reads like forward: a position of dx meets the windows that contain it, as a window meets positions of x. Both
meet *taps* at equal distances, each with the number of the position in the window, its *place*.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foveal.geometry import Window
from foveal.kernels.buffers import in_space, zeros

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Reach:
    """What each output on one axis meets: `count` taps `step` apart from `start` on, the first with number `place`.

    The number of the next tap is `place` + `more`. After `period` outputs the pattern comes again.
    """

    start: Index
    count: Index
    place: Index
    step: int
    more: int
    period: int

    @functools.cached_property
    def table(self) -> Index:
        """(start, count, place) of each output."""
        return np.stack([self.start, self.count, self.place], 1)

    def runs(self) -> Index:
        """Return the outputs cut into runs: rows of (first, step, n, start, advance, count, place, more).

        Outputs of a run are 1 apart, or a period, whichever needs fewer runs. They meet equally many taps; from one to
        the next the taps start `advance` later, with a number larger by `more`.

        Examples
        --------
        >>> Axis(size=6, output=3, kernel=3, stride=2, before=1, dilation=1).forward.runs().tolist()
        [[0, 1, 1, 0, 0, 2, 1, 0], [1, 1, 2, 1, 2, 3, 0, 0]]
        """
        made = _runs(self.table, 1)
        if len(made) > self.period:
            made = min(made, _runs(self.table, self.period), key=len)
        return np.array(made, np.int64)


def _runs(table: Index, step: int) -> list[tuple[int, ...]]:
    made: list[tuple[int, ...]] = []
    for phase in range(min(step, len(table))):
        rows = table[phase::step]
        rises, i = np.diff(rows, axis=0).tolist(), 0
        while i < len(rows):
            n = 1
            while i + n < len(rows) and rises[i + n - 1] == rises[i] and rises[i][1] == 0:
                n += 1
            (start, count, place), (advance, _, more) = rows[i], rises[i] if n > 1 else (0, 0, 0)
            made.append((phase + i * step, step, n, start, advance, count, place, more))
            i += n
    return made


@dataclass(frozen=True)
class Axis:
    """A window on one axis of a map."""

    size: int
    output: int
    kernel: int
    stride: int
    before: int
    dilation: int

    @functools.cached_property
    def forward(self) -> Reach:
        """Which positions of the map each window meets.

        Examples
        --------
        >>> Axis(size=4, output=2, kernel=3, stride=2, before=1, dilation=1).forward.table.tolist()
        [[0, 2, 1], [1, 3, 0]]
        """
        first = np.arange(self.output) * self.stride - self.before
        place = _up(np.maximum(-first, 0), self.dilation)
        stop = np.minimum(_up(self.size - first, self.dilation), self.kernel)
        return Reach(first + place * self.dilation, np.maximum(stop - place, 0), place, self.dilation, 1, 1)

    @functools.cached_property
    def backward(self) -> Reach:
        """Which windows meet each position of the map, and with which of their places.

        Examples
        --------
        >>> Axis(size=4, output=2, kernel=3, stride=2, before=1, dilation=1).backward.table.tolist()
        [[0, 1, 1], [0, 2, 2], [1, 1, 1], [1, 1, 2]]
        """
        at, shared = np.arange(self.size) + self.before, math.gcd(self.stride, self.dilation)
        stride, step = self.stride // shared, self.dilation // shared
        # window * stride + place * dilation = at: every `step`-th window can have a whole place
        low = np.maximum(_up(at - (self.kernel - 1) * self.dilation, self.stride), 0)
        start = low + (at // shared * pow(stride, -1, step) - low) % step
        stop = np.where(at % shared == 0, np.minimum(at // self.stride + 1, self.output), 0)
        count = np.maximum(_up(stop - start, step), 0)
        place = (at - start * self.stride) // self.dilation
        return Reach(np.where(count, start, 0), count, np.where(count, place, 0), step, -stride, self.stride)

    @functools.cached_property
    def meetings(self) -> Index:
        """For each place of the window (first, stop, start): the outputs that meet it in the map, where the first does.

        Examples
        --------
        >>> Axis(size=4, output=2, kernel=3, stride=2, before=1, dilation=1).meetings.tolist()
        [[1, 2, 1], [0, 2, 0], [0, 2, 1]]
        """
        at = np.arange(self.kernel) * self.dilation - self.before
        first = _up(np.maximum(-at, 0), self.stride)
        stop = np.maximum(np.minimum(_up(self.size - at, self.stride), self.output), first)
        return np.stack([first, stop, at + first * self.stride], 1)


def _up(a: Index, b: int) -> Index:
    """Return a / b, rounded up."""
    return -(-a // b)


@dataclass(frozen=True)
class Places:
    """Where the windows of a pooling land on maps of size `spatial`, on three axes: plane, row, column.

    Attributes
    ----------
    spatial : tuple of int
    window : Window
        As users write it: `rounding` decides whether a last window hangs over the end.
    rounding : {"floor", "ceil", "error"}
    count_padding : bool
        Whether a mean counts the padding.
    """

    spatial: tuple[int, ...]
    window: Window
    rounding: str = "floor"
    count_padding: bool = False

    @functools.cached_property
    def output(self) -> tuple[int, ...]:
        """Size of y on each axis of x."""
        return self.window.output(self.spatial, self.rounding)

    @functools.cached_property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        """The window on each axis."""
        w = self.window
        kernel, stride, dilation = (in_space(values, 1) for values in (w.kernel, w.stride, w.dilation))
        before = in_space([before for before, _ in w.padding], 0)
        sizes, outputs = in_space(self.spatial, 1), in_space(self.output, 1)
        plane, row, column = map(Axis, sizes, outputs, kernel, stride, before, dilation)
        return plane, row, column

    @property
    def outputs(self) -> int:
        """Outputs of a channel."""
        return math.prod(self.output)

    @functools.cached_property
    def shares(self) -> NDArray[np.float32]:
        """1 / the number of positions that each window averages over, (O, P, Q)."""
        counts = []
        for axis, (before, after) in zip(self.axes, in_space(self.window.padding, (0, 0)), strict=True):
            first = np.arange(axis.output) * axis.stride - axis.before
            low, high = (-before, axis.size + after) if self.count_padding else (0, axis.size)
            counts.append(np.minimum(first + axis.kernel, high) - np.maximum(first, low))
        return _floats(1 / np.einsum("i,j,k->ijk", *counts))

    @functools.cached_property
    def ones(self) -> NDArray[np.float32]:
        """1 for each window: the shares of a sum."""
        return _floats(np.ones(self.outputs))


def _floats(values: NDArray[np.float64]) -> NDArray[np.float32]:
    memory = zeros(values.size)
    memory[: values.size] = values.ravel()
    return memory
