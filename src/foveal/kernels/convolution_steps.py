"""How one convolution in 1D, 2D or 3D runs: taps, panels, tile, packing; the steps of forward and both gradients.

Everything here depends on shapes only and is computed once, when a plan is made. All three axes are always there: a 2D
map has one plane, a 1D map one row, and a window reaches over 1 of them.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.geometry import Window
from foveal.kernels import convolution as loops
from foveal.kernels import pooltile, winnertile
from foveal.kernels.assembler import assemble
from foveal.kernels.buffers import Border, Map, Scratch, in_space, zeros
from foveal.kernels.isa import ISA
from foveal.kernels.lanes import pixels_go_past
from foveal.kernels.large import is_large
from foveal.kernels.live import Reaches, by_row, by_tap, reaches
from foveal.kernels.panels import WORTH, Index, Panels
from foveal.kernels.reduction import gather, sum_parts
from foveal.kernels.steps import Step, step
from foveal.kernels.tiles import PAST, Tile, choose_outer
from foveal.kernels.winograd_steps import DIRECT, Winograd
from foveal.kernels.winograd_steps import choose as choose_winograd

NONE = -float("inf")
PARTS = 16  # a batch's gradient is summed in at most so many parts, whatever the number of threads
PART_FLOATS = 2_000_000  # all parts of a gradient together (8 MB)
PART_MACS = 800  # multiply-adds of the gradient for each float of its parts, so that adding them up costs little
TOGETHER = 200_000  # floats of the filters of problems that are computed image by image (0.8 MB)
RING = 5_000  # floats of un-pooled rows that wait for pooling (20 KB): they stay in L1
CHANNELS = 32  # from which on a weight gradient has a run for each kernel column
VECTORS = (1, 2, 3, 4)  # in a panel of filters
PIXELS = 140  # pixels of a weight gradient's tile: what it reads of x and dy stays in L1 between tiles


@dataclass(frozen=True)
class Correlation:
    """A convolution layer's geometry and the steps that compute it.

    Parameters
    ----------
    shape : tuple of int
        Of one input map: channels, then 1 to 3 axes.
    K : int
        Filters.
    window : Window
        Kernel, stride, padding and dilation on these axes.
    groups : int
    isa : ISA
    vectors : int
        Vectors in a panel, if the filters are already packed so; 0 leaves the choice to the tile.
    scratch : Scratch, optional
        Of the plan: with it, Winograd's algorithm takes the place of the direct sums where it is faster.
    """

    shape: tuple[int, ...]
    K: int
    window: Window
    groups: int
    isa: ISA
    vectors: int = 0
    scratch: Scratch | None = None

    @property
    def C(self) -> int:
        """Channels of x."""
        return self.shape[0]

    @functools.cached_property
    def output(self) -> tuple[int, ...]:
        """Size of y on each axis of x."""
        return self.window.output(self.shape[1:])

    @property
    def y_shape(self) -> tuple[int, ...]:
        """Shape of one map of y."""
        return self.K, *self.output

    @functools.cached_property
    def space(self) -> Window:
        """The window on three axes: plane, row, column."""
        w = self.window
        kernel, stride, dilation = (in_space(values, 1) for values in (w.kernel, w.stride, w.dilation))
        return Window(kernel, stride, in_space(w.padding, (0, 0)), dilation)

    @property
    def x_border(self) -> Border:
        """The zeros that x must carry."""
        planes, rows, columns = self.space.padding
        return Border(*rows, *columns, *planes)

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return self.K * math.prod(self.output) * (self.C // self.groups) * math.prod(self.window.kernel)

    @property
    def dense(self) -> bool:
        """Whether a kernel row is one run of neighbouring floats."""
        return self.window.dilation[-1] == 1 and self.groups == 1

    @property
    def pointwise(self) -> bool:
        """Whether it is a 1x1 convolution of every pixel: a matrix product."""
        plain = all(side == 0 for side in itertools.chain.from_iterable(self.window.padding)) and self.groups == 1
        return plain and set(self.window.kernel) == set(self.window.stride) == {1}

    def _as_one_row(self, *maps: Map) -> Correlation | None:
        """Return the same 1x1 convolution of maps that are one long row, if these have no borders; else None."""
        if not self.pointwise or len(self.shape) == 2 or not all(m.bare for m in maps):
            return None
        row = Window((1,), (1,), ((0, 0),), (1,))
        shape = self.C, math.prod(self.shape[1:])
        return replace(self, shape=shape, window=row, vectors=self._shape_only.tile.C)

    def panels(self, x: Map) -> Panels:
        """Return how the filters are cut; `x` gives the strides of the taps and not the shape of the pack."""
        (_, _, S), C = self.space.kernel, self.C // self.groups
        steps = [d * m for d, m in zip(self.space.dilation, (x.plane, x.row, x.pixel), strict=True)]
        positions = [sum(map(operator.mul, at, steps)) for at in np.ndindex(*self.space.kernel)]
        taps, run = (positions[::S], S * C) if self.dense else (positions, C)
        Q = self.output[-1]
        rows = math.prod(self.shape[1:]) if self.pointwise else Q
        tile = choose_outer(self.isa, rows, self.K // self.groups, self.vectors)
        cut = Panels(tile, tuple(taps), run, self.K // self.groups, Q)
        way = None if self.vectors else self._winograd(cut, VECTORS)
        return way.cut if way else cut

    @functools.cached_property
    def _shape_only(self) -> Panels:
        return self.panels(Map(0, self.shape))

    @property
    def weight_size(self) -> int:
        """Floats of the packed weight."""
        return self.groups * self._shape_only.size

    @property
    def bias_size(self) -> int:
        """Floats of the packed bias."""
        return self.groups * self._shape_only.padded

    @functools.cached_property
    def weight_index(self) -> Index:
        """For each float of the packed weight its place in (K, C/groups, *kernel), or -1."""
        C, kernel = self.C // self.groups, math.prod(self.window.kernel)
        places = np.arange(self.K * C * kernel).reshape(self.groups, -1, C, kernel)
        return np.concatenate([self._shape_only.pack(g.transpose(2, 1, 0)) for g in places])

    @functools.cached_property
    def bias_index(self) -> Index:
        """For each float of the packed bias its filter, or -1."""
        index = np.full((self.groups, self._shape_only.padded), -1, np.int64)
        index[:, : self.K // self.groups] = np.arange(self.K).reshape(self.groups, -1)
        return index.ravel()

    @functools.cached_property
    def live(self) -> tuple[Reaches, Reaches, Reaches]:
        """Which kernel planes, rows and columns each output plane, row and column meets inside of x."""
        axes = zip(in_space(self.shape[1:], 1), in_space(self.output, 1), self.space.kernel, self.space.stride,
                   self.space.padding, self.space.dilation, strict=True)  # fmt: skip
        planes, rows, columns = (reaches(np.arange(out) * stride - before, np.arange(kernel) * dilation, size)
                                 for size, out, kernel, stride, (before, _), dilation in axes)  # fmt: skip
        return planes, rows, columns

    @property
    def _reach(self) -> int:
        """Rows of x from the first that an output row meets to the last."""
        return (self.space.kernel[1] - 1) * self.space.dilation[1] + 1

    @property
    def _each(self) -> int:
        """Taps of a kernel row."""
        return 1 if self.dense else self.space.kernel[-1]

    def _winograd(self, cut: Panels, vectors: Sequence[int], least: int = 1) -> Winograd | None:
        """Return how rows of neighbouring pixels meet the filters in fewer products, in panels so wide, or None."""
        (planes, _, S), (_, down, across) = self.space.kernel, self.space.stride
        if self.scratch is None or not self.dense or across > 1 or max(planes, in_space(self.output, 1)[0]) > 1:
            return None
        return choose_winograd(cut, S, self.C, tuple(vectors), down, self._reach, least)

    def _source(self, x: Map) -> int:
        """Return the address of the window of the first output: x's origin without its own padding."""
        (front, _), (top, _), (left, _) = self.space.padding
        return x.address - 4 * (front * x.plane + top * x.row + left * x.pixel)

    def _groups(self, x: Map, w: NDArray[np.float32]) -> list[tuple[int, int, int, int]]:
        """Return for each group: offset in bytes of its channels in x, in y, of its filters, of its biases."""
        P = self._shape_only
        return [(4 * g * (self.C // self.groups), 4 * g * P.columns, 4 * g * P.size, 4 * g * P.padded)
                for g in range(self.groups)]  # fmt: skip

    def forward(
        self, name: str, x: Map, w: NDArray[Any], bias: NDArray[Any], y: Map, floor: float = NONE
    ) -> list[Step]:
        """Return the steps of y = max(floor, correlate(x, w) + bias)."""
        if row := self._as_one_row(x, y):
            return row.forward(name, x.as_one_row(), w, bias, y.as_one_row(), floor)
        (O, P, Q), (sd, sh, sw) = in_space(self.output, 1), self.space.stride
        cut = self.panels(x)
        fetch = _moved(x, self.space.stride, (O, P, Q))
        way = self._winograd(cut, [cut.tile.C])
        split, block = way.tasks(x.n, P, sh, self._reach) if way else (1, _rows(P, x.n * O))
        packing, tiles = self._tiles(
            name, cut, way, x, w, sh, *self.live, self._each, fetch, pixels_go_past(y, self.isa)
        )
        return packing + self._together([
            step(name, loops.convolution_forward, tile=str(way or cut.tile), macs=x.n * self.macs // self.groups,
                 keep=(x, y, tiles["w"], bias), x=self._source(x) + dx, x_image=x.image, x_plane=sd * x.plane,
                 x_row=sh * x.row, xs=sw * x.pixel, bias=bias.ctypes.data + db, y=y.address + dy, y_image=y.image,
                 y_plane=y.plane, y_row=y.row, ys=y.pixel, n=x.n, planes=O, rows=P, columns=Q, block=block,
                 split=split, floor=floor, **tiles | {"w": tiles["w"].ctypes.data + dw})
            for dx, dy, dw, db in self._groups(x, w)
        ], x.n)  # fmt: skip

    def _tiles(
        self, name: str, cut: Panels, way: Winograd | None, x: Map, w: NDArray[Any], down: int,
        planes: Reaches, rows: Reaches, columns: Reaches | None, each: int, fetch: int = 0,
        past: bool = False,
    ) -> tuple[list[Step], dict[str, Any]]:  # fmt: skip
        """Return the steps that make filters ready, and the arguments that say what tiles multiply, and in which order.

        down : rows of x from an output row to the next
        planes, rows, columns : which kernel planes, rows and columns each output plane, row and column meets in x
        each, fetch : taps of a kernel row; bytes from what a row meets to what the next does, if they are to be fetched
        past : whether the result goes past the caches
        """
        order, live = by_row(planes, rows, each)
        if way is None:
            past = past and cut.columns % self.isa.lanes == 0  # each group begins with a line of its own
            kind = ("outer_soon" if fetch else "outer") + past * PAST
            return [], {"w": w, "live": live, "fetch": fetch, **DIRECT, **cut.arguments(order, kind, columns, each)}
        filters, u = way.filters(name, w)
        assert self.scratch is not None
        made = way.arguments(order, x.pixel, x.row, down, self.scratch)
        return [filters], {"w": u, "live": live, **made}

    def _together(self, problems: list[Step], n: int) -> list[Step]:
        """Return one step for problems that read the same images, if there are enough of these for all threads.

        They go through the images together, so all their filters must stay in the second-level cache.
        """
        if len(problems) == 1 or n < PARTS or self.weight_size > TOGETHER:
            return problems
        addresses = np.array([p.block.ctypes.data for p in problems], np.int64)
        keep = tuple(k for p in problems for k in (p.block, *p.keep))
        tiles = ", ".join(dict.fromkeys(p.tile for p in problems))
        return [
            step(problems[0].name, loops.convolutions_forward, tile=tiles, macs=sum(p.macs for p in problems),
                 keep=keep, problems=addresses, count=len(problems), n=n)
        ]  # fmt: skip

    def can_fuse(self, pool: Window) -> bool:
        """Whether `forward_pooled` covers this max pooling: no padding or dilation, whole windows, few rows."""
        flat = len(self.output) == 2 and self.groups == 1
        plain = all(p == (0, 0) for p in pool.padding) and all(d == 1 for d in pool.dilation)
        return flat and plain and pool.kernel[0] <= loops.HEADER // 2 and math.prod(pool.kernel) <= 64

    def mark_size(self, pool: Window) -> int:
        """Return the bytes of the marks of one image: where the maxima of `pool` were."""
        size: int = self._marks(pool)["marks_image"]
        return size

    def _marks(self, pool: Window) -> dict[str, Any]:
        """Return the arguments that say how the marks lie in memory."""
        pixel = self._shape_only.padded // self.isa.lanes * pooltile.mark_bytes(self.isa, pool.kernel)
        return {"marks_image": math.prod(pool.output(self.output)) * pixel, "marks_pixel": pixel}

    def _pool(self, name: str, ir: str) -> int:
        return assemble(name, ir, self.isa)

    def forward_pooled(
        self, name: str, x: Map, w: NDArray[Any], bias: NDArray[Any], pool: Window, y: Map,
        marks: NDArray[np.uint8] | None, floor: float, threads: int,
    ) -> list[Step]:  # fmt: skip
        """Return the step of y = max_pool(max(floor, correlate(x, w) + bias)); `marks` remember where the maxima were.

        marks : `mark_size` bytes for each image, or None
        """
        PP, PQ = pool.output(self.output)
        cut = self.panels(x)
        (ph, pw), (ph_s, pw_s) = pool.kernel, pool.stride
        sh, sw = self.window.stride
        row_size = self.output[1] * cut.tile.width
        way = self._winograd(cut, [cut.tile.C], ph)
        slots = max(ph, RING // row_size) if ph_s <= ph else ph
        size = loops.HEADER + slots * row_size
        scratch = zeros(threads * size)
        row = f"max_pool_{self.isa.name}_{ph}x{pw}_{int(marks is not None)}"
        address = self._pool(row, pooltile.forward(self.isa, (ph, pw), marks is not None))
        block = _rows(PP, x.n)
        block = min(block, (way.lines(sh, self._reach) - ph) // ph_s + 1) if way else block
        packing, tiles = self._tiles(name, cut, way, x, w, sh, *self.live, self._each)
        return [
            *packing,
            step(name, loops.convolution_pool_forward, tile=str(way or cut.tile), macs=x.n * self.macs,
                 keep=(x, y, w, bias), x=self._source(x), x_image=x.image, x_row=sh * x.row, xs=sw * x.pixel, bias=bias,
                 y=y.address, y_image=y.image, y_row=y.row, ys=y.pixel, n=x.n, columns=self.output[1], block=block,
                 slots=slots, floor=floor, **tiles, pool=address, ph=ph, sh=ph_s, sw=pw_s,
                 pooled_rows=PP, pooled_columns=PQ, marks=marks if marks is not None else 0, **self._marks(pool),
                 marks_vector=pooltile.mark_bytes(self.isa, pool.kernel), scratch=scratch, scratch_size=size)
        ]  # fmt: skip

    def parts(self, n: int) -> int:
        """Return into how many parts the batch is cut for its weight gradient; it depends on shapes only.

        A power of two: parts of 32 images are equal then, and so is the work of two or four threads.
        """
        most = int(max(1, min(n, PARTS, min(PART_FLOATS, n * self.macs // PART_MACS) // self.weight_size)))
        return 1 << (most.bit_length() - 1)

    def weight_gradient(self, name: str, x: Map, dy: Map, dw: NDArray[Any], db: NDArray[Any]) -> list[Step]:
        """Return the steps of dw (packed as w) and db (packed as the bias)."""
        if row := self._as_one_row(x, dy):
            return row.weight_gradient(name, x.as_one_row(), dy.as_one_row(), dw, db)
        (O, P, Q), (sd, sh, sw) = in_space(self.output, 1), self.space.stride
        cut, parts = self._gradient_panels(x), self.parts(x.n)
        size = self.weight_size // self.groups
        groups = 1 if parts >= PARTS // 2 else min(-(-PARTS // parts), cut.count * len(cut.taps))
        most, cuts = max(1, round(PIXELS / Q)), -(-Q // PIXELS)  # some short rows, or a part of a long one
        block = -(-P // -(-P // most))  # as many rows in each, nearly
        pixel_rows = np.array([(t * sh * x.row, t * dy.row) for t in range(min(block, P))], np.int64).ravel()
        steps = []
        one, one_rows = np.ones(1, np.float32), pixel_rows * np.resize([0, 1], pixel_rows.size)
        narrow = Panels(Tile(self.isa, 1, cut.tile.C), cut.taps, cut.run, cut.columns, 1).arguments()
        for dx, ddy, dwo, dbo in self._groups(x, dw):
            to, sums = zeros(parts * size), zeros(parts * cut.padded)
            steps += [
                step(name, loops.convolution_weight_gradient, tile=str(cut.tile), macs=x.n * self.macs // self.groups,
                     keep=(x, dy), x=self._source(x) + dx, x_image=x.image, x_plane=sd * x.plane, x_row=sh * x.row,
                     xs=sw * x.pixel, dy=dy.address + ddy, dy_image=dy.image, dy_plane=dy.plane, dy_row=dy.row,
                     dys=dy.pixel, dw=to, dw_size=size, db=sums, db_size=cut.padded, n=x.n, parts=parts, groups=groups,
                     planes=O, rows=P, columns=Q, block=block, cuts=cuts, pixel_rows=pixel_rows, ahead=2 * cut.tile.R,
                     live=self._gradient_live(cut), one=one, one_rows=one_rows, one_main=narrow["main"],
                     one_last=narrow["last"], zeros=zeros(cut.tile.width), w=0, **cut.arguments(kind="outer_soon")),
                _sum_parts(name, to, size, parts, dw, dwo),
                _sum_parts(name, sums, cut.padded, parts, db, dbo),
            ]  # fmt: skip
        return steps

    def _gradient_panels(self, x: Map) -> Panels:
        """Return the panels of dw, which is packed as w: the same width, but the rows of a tile are those of a run.

        Kernel columns that often meet padding are runs of their own, so that it can be left out.
        """
        cut, C, columns = self.panels(x), self.C // self.groups, self.live[2]
        taps, run = cut.taps, cut.run
        if self.dense and C >= CHANNELS and 1 - columns.mean() >= WORTH:
            taps, run = tuple(t + s * x.pixel for t in taps for s in range(columns.shape[1])), C
        tile = choose_outer(self.isa, run, cut.columns, cut.tile.C)
        return Panels(tile, taps, run, cut.columns, run)

    def _gradient_live(self, cut: Panels) -> NDArray[np.int64]:
        """Return where each tap of dw reaches into x."""
        planes, rows, columns = self.live
        apart = len(cut.taps) == math.prod(self.space.kernel)
        return by_tap(planes, rows, columns if apart else np.ones((self.output[-1], 1), bool))

    def can_unpool(self, pool: Window) -> bool:
        """Whether `weight_gradient_pooled` covers this pooling: disjoint windows whose strides end in the map."""
        disjoint = all(k <= s for k, s in zip(pool.kernel, pool.stride, strict=True))
        inside = pool.output(self.output)[0] * pool.stride[0] <= self.output[0]  # it reads whole strides of rows of x
        return disjoint and inside and self.parts(PARTS) >= PARTS // 2

    def weight_gradient_pooled(
        self, name: str, x: Map, pool: Window, dy: Map, marks: NDArray[np.uint8], dw: NDArray[Any], db: NDArray[Any],
        threads: int,
    ) -> list[Step]:  # fmt: skip
        """Return the steps of dw and db from the gradient of the pooled map, un-pooled a few rows at a time."""
        if self._has_winners(pool):
            return self._winners(name, x, pool, dy, marks, dw, db)
        PP, PQ = pool.output(self.output)
        (ph, pw), (ph_s, pw_s) = pool.kernel, pool.stride
        sh, sw = self.window.stride
        cut, parts = self._gradient_panels(x), self.parts(x.n)
        columns, pixel = self.output[1], cut.padded
        block = min(PP, max(1, round(PIXELS / columns / ph_s)))
        size = loops.HEADER + (block * ph_s + ph) * columns * pixel
        scratch, to, sums = zeros(threads * size), zeros(parts * self.weight_size), zeros(parts * pixel)
        name_ir = f"max_unpool_{self.isa.name}_{ph}x{pw}_1"
        pixel_rows = np.array([(t * sh * x.row, t * columns * pixel) for t in range(block * ph_s)], np.int64).ravel()
        return [
            step(name, loops.convolution_pool_weight_gradient, tile=str(cut.tile), macs=x.n * self.macs, keep=(x, dy),
                 x=self._source(x), x_image=x.image, x_row=sh * x.row, xs=sw * x.pixel, dy=dy.address,
                 dy_image=dy.image, dy_pixel=dy.pixel, dw=to, dw_size=self.weight_size, db=sums, db_size=pixel, n=x.n,
                 parts=parts, columns=columns, block=block, pixel_rows=pixel_rows, ahead=cut.tile.R,
                 live=self._gradient_live(cut), w=0, **cut.arguments(kind="outer_x"),
                 unpool=self._pool(name_ir, pooltile.backward(self.isa, (ph, pw), True)), ph=ph, sh=ph_s, sw=pw_s,
                 pooled_rows=PP, pooled_columns=PQ, marks=marks, **self._marks(pool), scratch=scratch,
                 scratch_size=size, dys=pixel),
            _sum_parts(name, to, self.weight_size, parts, dw, 0),
            _sum_parts(name, sums, pixel, parts, db, 0),
        ]  # fmt: skip

    def _has_winners(self, pool: Window) -> bool:
        """Whether only the maxima need be multiplied: with one channel there is a tile that finds each pixel."""
        plain = self.C == 1 and len(self.shape) == 3 and set(self.window.dilation) == {1}
        ph, pw = pool.kernel
        return plain and winnertile.fits(self.isa, self.window.kernel[1], (ph, pw), self.window.stride[1])

    def _winners(
        self, name: str, x: Map, pool: Window, dy: Map, marks: NDArray[np.uint8], dw: NDArray[Any], db: NDArray[Any]
    ) -> list[Step]:
        """Return the steps of dw and db from the winners of each window."""
        (PP, PQ), (ph, pw), (ph_s, pw_s) = pool.output(self.output), pool.kernel, pool.stride
        (R, S), (sh, sw) = self.window.kernel, self.window.stride
        cut, parts, at_once = self._gradient_panels(x), self.parts(x.n), min(R, winnertile.rows(self.isa, S))
        to, sums, spare = zeros(parts * self.weight_size), zeros(parts * cut.padded), zeros(self.isa.lanes)

        def tile(rows: int) -> int:
            shape = rows, S, (ph, pw), (sh, sw)
            return assemble(winnertile.winners_name(self.isa, *shape), winnertile.winners(self.isa, *shape), self.isa)

        return [
            step(name, loops.convolution_winners_weight_gradient, tile=f"winners {at_once}x{S} ({self.isa.name})",
                 macs=x.n * self.K * PP * PQ * R * S, keep=(x, dy), x=self._source(x), x_image=x.image, x_row=x.row,
                 sx=pw_s * sw, xn=ph_s * sh * x.row, dy=dy.address, dy_image=dy.image, dy_pixel=dy.pixel, dw=to,
                 dw_size=self.weight_size, db=sums, db_size=cut.padded, n=x.n, parts=parts, w=0, pooled_rows=PP,
                 pooled_columns=PQ, marks=marks, **self._marks(pool), tile_at=tile(at_once),
                 small_tile=tile(R % at_once) if R % at_once else 0, at_once=at_once, spare=spare,
                 marks_vector=pooltile.mark_bytes(self.isa, pool.kernel), **cut.arguments(kind="outer_x")),
            _sum_parts(name, to, self.weight_size, parts, dw, 0),
            _sum_parts(name, sums, cut.padded, parts, db, 0),
        ]  # fmt: skip

    @functools.cached_property
    def _phases(self) -> list[tuple[_Phase, ...]]:
        axes = []
        sizes = zip(in_space(self.shape[1:], 1), self.space.kernel, self.space.stride, self.space.padding,
                    self.space.dilation, strict=True)  # fmt: skip
        for size, kernel, stride, (before, _), dilation in sizes:
            axis = []
            for first in range(min(stride, size)):
                phase = (first + before) % stride
                taps = [(r, (r * dilation - phase) // stride) for r in range(kernel) if r * dilation % stride == phase]
                axis.append(_Phase(first, (first + before - phase) // stride, -(-(size - first) // stride), taps))
            axes.append(axis)
        return list(itertools.product(*axes))

    @functools.cached_property
    def dy_border(self) -> Border:
        """The zeros that dy must carry for `input_gradient`."""
        needs = []
        for phases, out in zip(zip(*self._phases, strict=True), in_space(self.output, 1), strict=True):
            reach = [(p.at - e, p.at + p.count - e - out) for p in phases for _, e in p.taps or [(0, 0)]]
            needs.append((max(0, *(-first for first, _ in reach)), max(0, *(beyond for _, beyond in reach))))
        planes, rows, columns = needs
        return Border(*rows, *columns, *planes)

    def unpool(self, name: str, pool: Window, dy: Map, marks: NDArray[np.uint8], full: Map, threads: int) -> list[Step]:
        """Return the step that spreads the pooled map's gradient over the whole map, `full`."""
        PP, PQ = pool.output(self.output)
        (ph, pw), (sh, sw), pixel = pool.kernel, pool.stride, self._shape_only.padded
        disjoint = ph <= sh and pw <= sw
        size = loops.HEADER + pixel
        scratch = zeros(threads * size)
        row = f"max_unpool_{self.isa.name}_{ph}x{pw}_{int(disjoint)}"
        address = self._pool(row, pooltile.backward(self.isa, (ph, pw), disjoint))
        return [
            step(name, loops.unpool, keep=(dy, full), unpool=address, ph=ph, sh=sh, sw=sw, pooled_rows=PP,
                 pooled_columns=PQ, marks=marks, **self._marks(pool), scratch=scratch, scratch_size=size,
                 dys=full.pixel, dy=dy.address, dy_image=dy.image, dy_pixel=dy.pixel, n=dy.n, channels=self.K,
                 full=full.address, full_image=full.image, full_row=full.row, rows=full.H, columns=full.W,
                 clear=int(not disjoint))
        ]  # fmt: skip

    def input_gradient(
        self, name: str, dy: Map, w: NDArray[Any], dx: Map, bias: NDArray[Any] | None = None, floor: float = NONE
    ) -> list[Step]:
        """Return the steps of dx, correlate(dy, flipped and transposed w): one dense problem for each phase.

        bias : C numbers that are added, where this is a transposed convolution and not a gradient; floor likewise
        """
        if row := self._as_one_row(dy, dx):
            return row.input_gradient(name, dy.as_one_row(), w, dx.as_one_row(), bias, floor)
        C, K = self.C // self.groups, self.K // self.groups
        inverse = np.empty(self.K * C * math.prod(self.window.kernel), np.int64)  # where (k, c, r, s) is packed
        inverse[self.weight_index[self.weight_index >= 0]] = np.flatnonzero(self.weight_index >= 0)
        places = np.moveaxis(inverse.reshape(self.groups, K, C, *self.space.kernel), (0, 1, 2), (3, 4, 5))
        packing: list[Step] = []
        problems: list[Step] = []
        with_bias = bias is not None
        for phases in self._phases:
            taps = [p.taps[::-1] for p in phases]  # e falls, so the places in dy rise
            columns = phases[2]
            neighbours = all(a[1] - b[1] == 1 for a, b in itertools.pairwise(taps[2]))
            merge = self.groups == 1 and dy.pixel == K and neighbours  # a row of taps is one run of dy
            strides = dy.plane, dy.row, dy.pixel
            to = dx.plane, dx.row, dx.pixel
            at = dy.address + 4 * sum(p.at * s for p, s in zip(phases, strides, strict=True))
            runs = itertools.product(*taps[:2], taps[2][:1] if merge else taps[2])
            starts = [-sum(e * s for (_, e), s in zip(tap, strides, strict=True)) for tap in runs]
            met = [places[tuple(r for r, _ in tap)] for tap in itertools.product(*taps)]
            run = K * (len(taps[2]) if merge else 1)
            tile = choose_outer(self.isa, columns.count, C, depth=len(starts) * run)
            cut = Panels(tile, tuple(starts) or (0,), run if starts else 1, C, columns.count)
            counts = [p.count for p in phases]
            met_planes, met_rows, met_columns = (
                p.reaches(out) for p, out in zip(phases, in_space(self.output, 1), strict=True)
            )
            each = 1 if merge else len(taps[2])
            if not starts:  # these inputs meet no output: dx is the bias
                met_planes, met_rows, each = (*(np.ones((p.count, 1), bool) for p in phases[:2]), 1)
            fetch = _moved(dy, (1, 1, 1), counts)
            split, block = 1, _rows(counts[1], dy.n * counts[0])
            way = None
            if self.scratch and merge and starts and len(taps[0]) == counts[0] == 1:
                reach = taps[1][0][1] - taps[1][-1][1] + 1
                way = choose_winograd(cut, len(taps[2]), K, VECTORS, 1, reach, 1)
            if way:
                cut, (split, block) = way.cut, way.tasks(dy.n, counts[1], 1, reach)
            inside = met_columns if starts else None
            y_plane, y_row, ys = (a * b for a, b in zip(self.space.stride, to, strict=True))
            for g in range(self.groups):
                none = np.full((1, 1, C), -1, np.int64)
                index = cut.pack(np.stack([m[g] for m in met]).reshape(len(starts), run, C) if met else none)
                packed, start = zeros(cut.size), zeros(cut.padded)
                macs = dy.n * math.prod(counts) * len(starts) * run * C
                y = dx.address + 4 * (sum(p.first * s for p, s in zip(phases, to, strict=True)) + g * C)
                packing.append(step(name, gather, x=w, index=index, y=packed, size=cut.size, keep=(w,)))
                filters, tiles = self._tiles(name, cut, way, dy, packed, 1, met_planes, met_rows, inside, each, fetch,
                                             pixels_go_past(dx, self.isa))  # fmt: skip
                packing += filters
                if with_bias:
                    packing.append(step(name, gather, x=bias, index=g * C + np.arange(C), y=start, size=C))
                problems.append(
                    step(name, loops.convolution_forward, tile=str(way or cut.tile), macs=macs, keep=(dy, dx),
                         x=at + 4 * (g * K + (min(starts) if way else 0)), x_image=dy.image, x_plane=dy.plane,
                         x_row=dy.row, xs=dy.pixel, bias=start, y=y, y_image=dx.image, y_plane=y_plane, y_row=y_row,
                         ys=ys, n=dy.n, planes=counts[0], rows=counts[1], columns=counts[2], block=block, split=split,
                         floor=floor, **tiles)
                )  # fmt: skip
        return packing + self._together(problems, dy.n)


@dataclass(frozen=True)
class _Phase:
    """On one axis, the inputs i = first + m * stride that meet the same taps: (tap r, e) reads dy at `at` + m - e."""

    first: int
    at: int
    count: int
    taps: list[tuple[int, int]]

    def reaches(self, size: int) -> Reaches:
        """Return of each input and tap, the last tap first, whether it reads inside of dy."""
        return reaches(self.at + np.arange(self.count), np.array([-e for _, e in self.taps[::-1]], np.int64), size)


def _rows(rows: int, planes: int) -> int:
    """Return how many rows of each of so many planes a task computes: all, or an eighth where planes are few."""
    return rows if planes >= PARTS else max(1, -(-rows // 8))


def _moved(x: Map, stride: Sequence[int], outputs: Sequence[int]) -> int:
    """Return how many bytes a row of outputs moves on in x, where x is so large that they are fetched; else 0."""
    planes, rows, columns = outputs
    return 4 * (stride[1] * x.row if planes * rows > 1 else stride[2] * x.pixel * columns) if is_large(x) else 0


def _sum_parts(name: str, at: NDArray[Any], size: int, parts: int, to: NDArray[Any], offset: int) -> Step:
    y = to.ctypes.data + offset
    return step(name, sum_parts, keep=(to,), parts_at=at, part_size=size, parts=parts, y=y, size=size)
