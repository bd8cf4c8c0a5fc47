"""How a depthwise convolution runs, where every channel has filters of its own: packing, tiles, and its steps."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.geometry import Window
from foveal.kernels import depthwise as loops
from foveal.kernels import depthwise_tile
from foveal.kernels.assembler import assemble
from foveal.kernels.buffers import Map, Scratch, in_space, zeros
from foveal.kernels.convolution_steps import NONE, PARTS, Correlation, _Phase
from foveal.kernels.isa import ISA
from foveal.kernels.lanes import pixels_go_past
from foveal.kernels.large import is_large
from foveal.kernels.panels import Index
from foveal.kernels.reduction import gather, sum_parts
from foveal.kernels.steps import Step, step
from foveal.kernels.tiles import split

OUTPUTS = 8  # outputs of a tile at most: enough sums to hide the latency of a multiply-add
ROWS = 8  # rows of a task at most: their tiles meet in L1
WEIGHTS = 32  # weights of a kernel row that a tile meets at once, at most
SPARE = 4  # registers of a gradient tile that hold no sum of weights


def correlation(
    shape: tuple[int, ...],
    K: int,
    window: Window,
    groups: int,
    isa: ISA,
    vectors: int = 0,
    scratch: Scratch | None = None,
) -> Correlation:
    """Return how a convolution runs: channel by channel if each is a group with few filters, else on the matrix tile.

    Parameters
    ----------
    shape, K, window, groups, isa, vectors, scratch
        As of `Correlation`.

    Examples
    --------
    >>> from foveal.kernels.isa import named
    >>> window = Window.resolve((56, 56), 3, padding=1)
    >>> type(correlation((128, 56, 56), 128, window, 128, named("avx2"))).__name__
    'Depthwise'
    """
    if 1 < groups == shape[0] and K // groups <= isa.lanes // 2:
        return Depthwise(shape, K, window, groups, isa)
    return Correlation(shape, K, window, groups, isa, vectors, scratch)


class Depthwise(Correlation):
    """A convolution whose groups are single channels, with the interface of `Correlation`.

    Filter k reads channel k // m of x, where m = K / C is nearly always 1. The filters are packed as (tap, filter),
    padded to whole vectors. If m > 1, x is first spread so that each filter has a channel of its own.
    """

    @property
    def multiplier(self) -> int:
        """Filters of a channel."""
        return self.K // self.C

    @property
    def weight_size(self) -> int:
        """Floats of the packed weight."""
        return math.prod(self.window.kernel) * self.bias_size

    @property
    def bias_size(self) -> int:
        """Floats of the packed bias: the filters, rounded up to whole vectors."""
        return -(-self.K // self.isa.lanes) * self.isa.lanes

    @functools.cached_property
    def weight_index(self) -> Index:
        """For each float of the packed weight its place in (K, 1, *kernel), or -1."""
        taps = math.prod(self.window.kernel)
        index = np.full((taps, self.bias_size), -1, np.int64)
        index[:, : self.K] = np.arange(self.K * taps).reshape(self.K, taps).T
        return index.ravel()

    @functools.cached_property
    def bias_index(self) -> Index:
        """For each float of the packed bias its filter, or -1."""
        filters = np.arange(self.bias_size)
        return np.where(filters < self.K, filters, -1)

    def can_fuse(self, pool: Window) -> bool:
        """Return False: there is no pooling in the same pass."""
        return False

    @functools.cached_property
    def _line(self) -> _Line:
        w = self.space
        return _Line(self.isa, in_space(self.output, 1), w.stride, w.kernel[2], w.dilation[2])

    def _rows(self, x: Map) -> list[int]:
        """Return where the rows of the kernel begin in x, in floats."""
        planes, rows, _ = self.space.dilation
        return [d * planes * x.plane + r * rows * x.row for d, r in np.ndindex(*self.space.kernel[:2])]

    def forward(
        self, name: str, x: Map, w: NDArray[Any], bias: NDArray[Any], y: Map, floor: float = NONE
    ) -> list[Step]:
        """Return the steps of y = max(floor, correlate(x, w) + bias)."""
        x, steps = self._spread(name, x)
        row, ws = self.space.kernel[2] * self.bias_size, self.bias_size
        taps = [(start, r * row) for r, start in enumerate(self._rows(x))]
        return [
            *steps,
            step(name, loops.depthwise_forward, tile=str(self._line), macs=x.n * self.macs, keep=(x, y),
                 x=self._source(x), y=y.address, w=w, ws=ws, bias=bias, floor=floor, **self._line.places(x, y),
                 **self._line.forward(taps, x.pixel, ws, pixels_go_past(y, self.isa))),
        ]  # fmt: skip

    def weight_gradient(self, name: str, x: Map, dy: Map, dw: NDArray[Any], db: NDArray[Any]) -> list[Step]:
        """Return the steps of dw (packed as w) and db (packed as the bias)."""
        x, steps = self._spread(name, x)
        places = self._line.places(x, dy)
        parts = min(PARTS, x.n * places["planes"] * -(-places["rows"] // places["block"]))
        to, sums = zeros(parts * self.weight_size), zeros(parts * self.bias_size)
        cuts, starts = self._line.cuts(self._rows(x), x.pixel, self.bias_size, is_large(x, dy))
        return [
            *steps,
            step(name, loops.depthwise_weight_gradient, tile=str(self._line), macs=x.n * self.macs,
                 keep=(x, dy, starts), x=self._source(x), y=dy.address, cuts=cuts, count=cuts.size // 4, dw=to,
                 dw_size=self.weight_size, ws=self.bias_size, db=sums, db_size=self.bias_size, parts=parts, **places),
            step(name, sum_parts, parts_at=to, part_size=self.weight_size, parts=parts, y=dw, size=self.weight_size),
            step(name, sum_parts, parts_at=sums, part_size=self.bias_size, parts=parts, y=db, size=self.bias_size),
        ]  # fmt: skip

    def input_gradient(
        self, name: str, dy: Map, w: NDArray[Any], dx: Map, bias: NDArray[Any] | None = None, floor: float = NONE
    ) -> list[Step]:
        """Return the steps of dx, correlate(dy, flipped w): one dense problem for each phase of the stride.

        bias : C numbers that are added, where this is a transposed convolution and not a gradient; floor likewise
        """
        start, steps, m = zeros(self.bias_size), [], self.multiplier
        if bias is not None:
            filters = np.arange(self.bias_size)
            index = np.where((filters < self.K) & (filters % m == 0), filters // m, -1)  # once for each channel
            steps = [step(name, gather, x=bias, index=index, y=start, size=self.bias_size)]
        if m == 1:
            return steps + [self._phase(name, phases, dy, w, dx, start, floor) for phases in self._phases]
        wide = self._wide(dx)
        steps += [self._phase(name, phases, dy, w, wide, start, NONE) for phases in self._phases]
        return [*steps, self._channels(name, loops.add_channels, dx, wide, floor=floor)]

    def _phase(
        self, name: str, phases: tuple[_Phase, ...], dy: Map, w: NDArray[Any], dx: Map, bias: NDArray[Any], floor: float
    ) -> Step:
        """Return the step of one phase's inputs. Tap r reads dy further left the larger it is: they run backwards."""
        (_, R, S), P = self.space.kernel, self.bias_size
        planes, rows, columns = (phase.taps[::-1] for phase in phases)
        source, to = (dy.plane, dy.row, dy.pixel), (dx.plane, dx.row, dx.pixel)
        (s, e), *others = columns or [(0, 0)]
        taps = [(-(ed * dy.plane + er * dy.row + e * dy.pixel), ((d * R + r) * S + s) * P)
                for (d, ed), (r, er) in itertools.product(planes, rows) if columns]  # fmt: skip
        weights, distance, ws = 1, 1, 0
        if not taps:  # no window reads these inputs
            taps, w = [(0, 0)], zeros(P)
        elif others:
            weights, distance, ws = len(columns), e - others[0][1], (others[0][0] - s) * P
        line = _Line(self.isa, in_space([p.count for p in phases], 1), (1, 1, 1), weights, distance)
        strides = zip(("y_plane", "y_row", "ys"), self.space.stride, to, strict=True)
        places = line.places(dy, dx) | {key: stride * size for key, stride, size in strides}
        macs = dy.n * self.K * math.prod(line.sizes) * len(taps) * weights
        return step(
            name, loops.depthwise_forward, tile=str(line), macs=macs, keep=(dy, dx),
            x=dy.address + 4 * sum(p.at * s for p, s in zip(phases, source, strict=True)),
            y=dx.address + 4 * sum(p.first * s for p, s in zip(phases, to, strict=True)), w=w, ws=ws, bias=bias,
            floor=floor, **places, **line.forward(taps, dy.pixel, ws, pixels_go_past(dx, self.isa)),
        )  # fmt: skip

    def _spread(self, name: str, x: Map) -> tuple[Map, list[Step]]:
        """Return x with a channel for each filter, and the step that makes it; x itself if it is that already."""
        if self.multiplier == 1:
            return x, []
        wide = self._wide(x)
        return wide, [self._channels(name, loops.repeat_channels, x, wide)]

    def _wide(self, x: Map) -> Map:
        return Map(x.n, (self.K, *self.shape[1:]), x.border, self.multiplier * x.pixel)

    def _channels(self, name: str, kernel: Any, x: Map, wide: Map, **more: Any) -> Step:
        size = (x.border.front + x.D + x.border.back) * x.plane
        return step(name, kernel, keep=(x, wide), x=x.data, x_image=x.image, y=wide.data, y_image=wide.image, n=x.n,
                    size=size, times=self.multiplier, **more)  # fmt: skip


@dataclass(frozen=True)
class _Line:
    """How rows of outputs are covered with tiles: `sizes` planes, rows and columns that read x with these strides.

    S, dilation : weights of a kernel row, and pixels between them
    """

    isa: ISA
    sizes: tuple[int, int, int]
    stride: tuple[int, ...]
    S: int
    dilation: int

    def __str__(self) -> str:
        return f"{self._tiles[1] + (self._tiles[2] > 0)}x{self.S} ({self.isa.name})"

    @property
    def _tiles(self) -> tuple[int, int, int]:
        """(tiles, outputs of a small one, number of those with one more)."""
        room = self.isa.registers - self.S - 2
        return split(self.sizes[2], max(OUTPUTS // 2, min(OUTPUTS, room)))

    def _pair(self, make: Any) -> tuple[int, int]:
        """Return the addresses of the large and the small tile that `make` makes for so many outputs; 0 if unused."""
        tiles, small, more = self._tiles
        return make(small + 1) if more else 0, make(small) if tiles > more else 0

    def places(self, x: Map, y: Map) -> dict[str, int]:
        """Return the fields of `depthwise.ROWS` but the addresses."""
        (planes, rows, _), (sd, sh, sw), (tiles, small, more) = self.sizes, self.stride, self._tiles
        return {
            "x_image": x.image, "x_plane": sd * x.plane, "x_row": sh * x.row, "xs": x.pixel, "y_image": y.image,
            "y_plane": y.plane, "y_row": y.row, "ys": y.pixel, "n": x.n, "planes": planes, "rows": rows,
            "block": -(-rows // -(-rows // ROWS)), "channels": y.C, "more": more, "rest": tiles - more,
            "wide": more * (small + 1), "advance": sw * x.pixel,
        }  # fmt: skip

    def forward(self, taps: list[tuple[int, int]], pixel: int, ws: int, past: bool) -> dict[str, Any]:
        """Return the tiles of `depthwise_forward` and their taps: where each kernel row begins in x and in w.

        Of a row that is too long for a tile, each weight is a tap of its own.
        """
        S = self.S if self.S <= WEIGHTS else 1
        if S < self.S:
            taps = [(x + i * self.dilation * pixel, w + i * ws) for x, w in taps for i in range(self.S)]

        def tile(Q: int) -> int:
            made = self.isa, Q, S, self.stride[2], self.dilation, past
            return assemble(depthwise_tile.forward_name(*made), depthwise_tile.forward(*made), self.isa)

        large, small = self._pair(tile)
        return {"large": large, "small": small, "taps": np.array(taps, np.int64).ravel(), "T": len(taps)}

    def cuts(self, rows: list[int], pixel: int, padded: int, ahead: bool) -> tuple[Index, Index]:
        """Return the cuts of `depthwise_weight_gradient`, pieces of the kernel with a sum in registers for each weight.

        A piece is some whole kernel rows, or a part of one. The second array holds the places that the first points to.
        """
        room = self.isa.registers - SPARE
        pieces = [
            (r, R, s, S)
            for s, S in _shares(self.S, room)
            for r, R in _shares(len(rows), room // S if S == self.S else 1)
        ]
        starts = np.array([at + s * self.dilation * pixel for r, R, s, _ in pieces for at in rows[r : r + R]], np.int64)
        first = itertools.accumulate((R for _, R, _, _ in pieces), initial=0)

        def tile(Q: int, R: int, S: int, bias: bool) -> int:
            made = self.isa, Q, R, S, self.stride[2], self.dilation, bias, ahead
            return assemble(depthwise_tile.gradient_name(*made), depthwise_tile.weight_gradient(*made), self.isa)

        table = [
            (starts.ctypes.data + 8 * at, 4 * (r * self.S + s) * padded,
             *self._pair(functools.partial(tile, R=R, S=S, bias=r == s == 0)))
            for at, (r, R, s, S) in zip(first, pieces, strict=False)
        ]  # fmt: skip
        return np.array(table, np.int64).ravel(), starts


def _shares(size: int, most: int) -> list[tuple[int, int]]:
    """Return (first, count) of nearly equal shares of at most `most`.

    Examples
    --------
    >>> _shares(7, 4)
    [(0, 4), (4, 3)]
    """
    count, small, more = split(size, most)
    counts = [small + 1] * more + [small] * (count - more)
    return list(zip(itertools.accumulate(counts, initial=0), counts, strict=False))
