"""How one 2D convolution runs: taps, panels, tile, packing, and the steps of its forward and its two gradients.

Everything here depends on shapes only and is computed once, when a plan is made.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.geometry import Window
from foveal.kernels import convolution as loops
from foveal.kernels import pooltile
from foveal.kernels.assembler import assemble
from foveal.kernels.buffers import Border, Map, zeros
from foveal.kernels.isa import ISA
from foveal.kernels.panels import Index, Panels
from foveal.kernels.reduction import gather, sum_parts
from foveal.kernels.steps import Step, step
from foveal.kernels.tiles import Tile, choose_outer

NONE = -float("inf")
PARTS = 16  # a batch's gradient is summed in at most so many parts, whatever the number of threads
PART_FLOATS = 2_000_000  # all parts of a gradient together (8 MB)
PART_MACS = 800  # multiply-adds of the gradient for each float of its parts, so that adding them up costs little
PIXELS = 250  # pixels of a weight gradient's tile: its vectors of dy stay near between kernel rows


@dataclass(frozen=True)
class Correlation:
    """A convolution layer's geometry and the steps that compute it.

    Parameters
    ----------
    C, H, W : int
        Shape of an input map.
    K : int
        Filters.
    window : Window
        Kernel, stride, padding and dilation on both axes.
    groups : int
    isa : ISA
    vectors : int
        Vectors in a panel, if the filters are already packed so; 0 leaves the choice to the tile.
    """

    C: int
    H: int
    W: int
    K: int
    window: Window
    groups: int
    isa: ISA
    vectors: int = 0

    @functools.cached_property
    def output(self) -> tuple[int, int]:
        """Rows and columns of y."""
        P, Q = self.window.output((self.H, self.W))
        return P, Q

    @property
    def x_border(self) -> Border:
        """The zeros that x must carry."""
        return Border(*itertools.chain.from_iterable(self.window.padding))

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        P, Q = self.output
        R, S = self.window.kernel
        return self.K * P * Q * (self.C // self.groups) * R * S

    @property
    def dense(self) -> bool:
        """Whether a kernel row is one run of neighbouring floats."""
        return self.window.dilation[1] == 1 and self.groups == 1

    @property
    def pointwise(self) -> bool:
        """Whether it is a 1x1 convolution of every pixel: a matrix product."""
        plain = all(side == 0 for side in itertools.chain.from_iterable(self.window.padding)) and self.groups == 1
        return plain and self.window.kernel == (1, 1) and self.window.stride == (1, 1)

    def _as_one_row(self, *maps: Map) -> Correlation | None:
        """Return the same 1x1 convolution of maps that are one long row, if these have no borders; else None."""
        if not self.pointwise or self.H == 1 or any(m.row != m.W * m.pixel for m in maps):
            return None
        return replace(self, H=1, W=self.H * self.W, vectors=self._shape_only.tile.C)

    def panels(self, x: Map) -> Panels:
        """Return how the filters are cut; `x` gives the strides of the taps and not the shape of the pack."""
        (R, S), (dh, dw), C = self.window.kernel, self.window.dilation, self.C // self.groups
        if self.dense:
            taps, run = [r * dh * x.row for r in range(R)], S * C
        else:
            taps, run = [r * dh * x.row + s * dw * x.pixel for r in range(R) for s in range(S)], C
        rows = self.H * self.W if self.pointwise else self.output[1]
        tile = choose_outer(self.isa, rows, self.K // self.groups, self.vectors)
        return Panels(tile, tuple(taps), run, self.K // self.groups, self.output[1])

    @functools.cached_property
    def _shape_only(self) -> Panels:
        return self.panels(Map(0, self.C, self.H, self.W))

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
        """For each float of the packed weight its place in (K, C/groups, R, S), or -1."""
        R, S = self.window.kernel
        places = np.arange(self.K * (self.C // self.groups) * R * S).reshape(
            self.groups, -1, self.C // self.groups, R, S
        )
        return np.concatenate([self._shape_only.pack(g.transpose(2, 3, 1, 0)) for g in places])

    @functools.cached_property
    def bias_index(self) -> Index:
        """For each float of the packed bias its filter, or -1."""
        index = np.full((self.groups, self._shape_only.padded), -1, np.int64)
        index[:, : self.K // self.groups] = np.arange(self.K).reshape(self.groups, -1)
        return index.ravel()

    def _source(self, x: Map) -> int:
        """Return the address of the window of the first output: x's origin without its own padding."""
        (top, _), (left, _) = self.window.padding
        return x.address - 4 * (top * x.row + left * x.pixel)

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
            return row.forward(name, x, w, bias, y, floor)
        P, Q = self.output
        cut = self.panels(x)
        sh, sw = self.window.stride
        block = P if x.n >= PARTS else max(1, -(-P // 8))
        return [
            step(name, loops.convolution_forward, tile=str(cut.tile), macs=x.n * self.macs // self.groups,
                 keep=(x, y, w, bias), x=self._source(x) + dx, x_image=x.image, x_row=sh * x.row, xs=sw * x.pixel,
                 w=w.ctypes.data + dw, bias=bias.ctypes.data + db, y=y.address + dy, y_image=y.image,
                 y_row=y.row, ys=y.pixel, n=x.n, rows=P, columns=Q, block=block, floor=floor, **cut.arguments())
            for dx, dy, dw, db in self._groups(x, w)
        ]  # fmt: skip

    def can_fuse(self, pool: Window) -> bool:
        """Whether `forward_pooled` covers this max pooling: no padding or dilation, whole windows, few rows."""
        plain = all(p == (0, 0) for p in pool.padding) and all(d == 1 for d in pool.dilation)
        return (
            plain and self.groups == 1 and pool.kernel[0] <= loops.HEADER // 2 and pool.kernel[0] * pool.kernel[1] <= 64
        )

    def _pool(self, name: str, ir: str) -> int:
        return assemble(name, ir, self.isa)

    def forward_pooled(
        self, name: str, x: Map, w: NDArray[Any], bias: NDArray[Any], pool: Window, y: Map,
        code: NDArray[np.uint8] | None, floor: float, threads: int,
    ) -> list[Step]:  # fmt: skip
        """Return the step of y = max_pool(max(floor, correlate(x, w) + bias)); `code` remembers where the maxima were.

        code : (n, pooled rows, pooled columns, padded filters) of uint8, or None
        """
        PP, PQ = pool.output(self.output)
        cut = self.panels(x)
        (ph, pw), (ph_s, pw_s) = pool.kernel, pool.stride
        sh, sw = self.window.stride
        size = loops.HEADER + ph * self.output[1] * cut.tile.width
        scratch = zeros(threads * size)
        row = f"max_pool_{self.isa.name}_{ph}x{pw}_{int(code is not None)}"
        address = self._pool(row, pooltile.forward(self.isa, (ph, pw), code is not None))
        block = PP if x.n >= PARTS else max(1, -(-PP // 8))
        return [
            step(name, loops.convolution_pool_forward, tile=str(cut.tile), macs=x.n * self.macs, keep=(x, y, w, bias),
                 x=self._source(x), x_image=x.image, x_row=sh * x.row, xs=sw * x.pixel, w=w, bias=bias, y=y.address,
                 y_image=y.image, y_row=y.row, ys=y.pixel, n=x.n, columns=self.output[1], block=block, floor=floor,
                 **cut.arguments(), pool=address, ph=ph, sh=ph_s, sw=pw_s, pooled_rows=PP, pooled_columns=PQ,
                 code=code if code is not None else 0, code_image=PP * PQ * cut.padded, code_pixel=cut.padded,
                 scratch=scratch, scratch_size=size)
        ]  # fmt: skip

    def parts(self, n: int) -> int:
        """Return into how many parts the batch is cut for its weight gradient; it depends on shapes only."""
        most = min(PART_FLOATS, n * self.macs // PART_MACS) // self.weight_size
        return int(max(1, min(n, PARTS, most)))

    def weight_gradient(self, name: str, x: Map, dy: Map, dw: NDArray[Any], db: NDArray[Any]) -> list[Step]:
        """Return the steps of dw (packed as w) and db (packed as the bias)."""
        if row := self._as_one_row(x, dy):
            return row.weight_gradient(name, x, dy, dw, db)
        P, Q = self.output
        sh, sw = self.window.stride
        cut, parts = self._gradient_panels(x), self.parts(x.n)
        size = self.weight_size // self.groups
        groups = 1 if parts >= PARTS // 2 else min(-(-PARTS // parts), cut.count * len(cut.taps))
        block = max(1, round(PIXELS / Q))
        pixel_rows = np.array([(t * sh * x.row, t * dy.row) for t in range(min(block, P))], np.int64).ravel()
        steps = []
        one, one_rows = np.ones(1, np.float32), pixel_rows * np.resize([0, 1], pixel_rows.size)
        narrow = Panels(Tile(self.isa, 1, cut.tile.C), cut.taps, cut.run, cut.columns, 1).arguments()
        for dx, ddy, dwo, dbo in self._groups(x, dw):
            to, sums = zeros(parts * size), zeros(parts * cut.padded)
            steps += [
                step(name, loops.convolution_weight_gradient, tile=str(cut.tile), macs=x.n * self.macs // self.groups,
                     keep=(x, dy), x=self._source(x) + dx, x_image=x.image, x_row=sh * x.row, xs=sw * x.pixel,
                     dy=dy.address + ddy, dy_image=dy.image, dy_row=dy.row, dys=dy.pixel, dw=to, dw_size=size, db=sums,
                     db_size=cut.padded, n=x.n, parts=parts, groups=groups, rows=P, columns=Q, block=block,
                     pixel_rows=pixel_rows, one=one, one_rows=one_rows, one_main=narrow["main"],
                     one_last=narrow["last"], w=0, **cut.arguments()),
                _sum_parts(name, to, size, parts, dw, dwo),
                _sum_parts(name, sums, cut.padded, parts, db, dbo),
            ]  # fmt: skip
        return steps

    def _gradient_panels(self, x: Map) -> Panels:
        """Return the panels of dw, which is packed as w: the same width, but the rows of a tile are those of a run."""
        cut = self.panels(x)
        tile = choose_outer(self.isa, cut.run, cut.columns, cut.tile.C)
        return Panels(tile, cut.taps, cut.run, cut.columns, cut.run)

    def can_unpool(self, pool: Window) -> bool:
        """Whether `weight_gradient_pooled` covers this pooling: disjoint windows whose strides end in the map."""
        disjoint = all(k <= s for k, s in zip(pool.kernel, pool.stride, strict=True))
        inside = pool.output(self.output)[0] * pool.stride[0] <= self.output[0]  # it reads whole strides of rows of x
        return disjoint and inside and self.parts(PARTS) >= PARTS // 2

    def weight_gradient_pooled(
        self, name: str, x: Map, pool: Window, dy: Map, code: NDArray[np.uint8], dw: NDArray[Any], db: NDArray[Any],
        threads: int,
    ) -> list[Step]:  # fmt: skip
        """Return the steps of dw and db from the gradient of the pooled map, un-pooled a few rows at a time."""
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
                 parts=parts, columns=columns, block=block, pixel_rows=pixel_rows, w=0, **cut.arguments(),
                 unpool=self._pool(name_ir, pooltile.backward(self.isa, (ph, pw), True)), ph=ph, sh=ph_s, sw=pw_s,
                 pooled_rows=PP, pooled_columns=PQ, code=code, code_image=PP * PQ * pixel, code_pixel=pixel,
                 scratch=scratch, scratch_size=size, dys=pixel),
            _sum_parts(name, to, self.weight_size, parts, dw, 0),
            _sum_parts(name, sums, pixel, parts, db, 0),
        ]  # fmt: skip

    @functools.cached_property
    def _phases(self) -> list[_Phase]:
        axes = []
        sizes = zip((self.H, self.W), self.output, self.window.kernel, self.window.stride, self.window.padding,
                    self.window.dilation, strict=True)  # fmt: skip
        for size, _, kernel, stride, (before, _), dilation in sizes:
            axis = []
            for first in range(min(stride, size)):
                phase = (first + before) % stride
                taps = [(r, (r * dilation - phase) // stride) for r in range(kernel) if r * dilation % stride == phase]
                axis.append((first, (first + before - phase) // stride, -(-(size - first) // stride), taps))
            axes.append(axis)
        return [_Phase(*h, *w) for h in axes[0] for w in axes[1]]

    @functools.cached_property
    def dy_border(self) -> Border:
        """The zeros that dy must carry for `input_gradient`."""
        border = Border()
        for p in self._phases:
            for taps, at, count, out in ((p.row_taps, p.row_at, p.rows, 0), (p.column_taps, p.column_at, p.columns, 1)):
                back = [e for _, e in taps] or [0]
                need = max(0, max(back) - at), max(0, at + count - 1 - min(back) - (self.output[out] - 1))
                border |= Border(*need) if out == 0 else Border(0, 0, *need)
        return border

    def unpool(self, name: str, pool: Window, dy: Map, code: NDArray[np.uint8], full: Map, threads: int) -> list[Step]:
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
                 pooled_columns=PQ, code=code, code_image=PP * PQ * pixel, code_pixel=pixel, scratch=scratch,
                 scratch_size=size, dys=full.pixel, dy=dy.address, dy_image=dy.image, dy_pixel=dy.pixel, n=dy.n,
                 channels=self.K, full=full.address,
                 full_image=full.image, full_row=full.row, rows=full.H, columns=full.W, clear=int(not disjoint))
        ]  # fmt: skip

    def input_gradient(self, name: str, dy: Map, w: NDArray[Any], dx: Map) -> list[Step]:
        """Return the steps of dx, correlate(dy, flipped and transposed w): one dense problem for each phase."""
        if row := self._as_one_row(dy, dx):
            return row.input_gradient(name, dy, w, dx)
        R, S = self.window.kernel
        C, K = self.C // self.groups, self.K // self.groups
        inverse = np.empty(self.K * C * R * S, np.int64)  # where the weight (k, c, r, s) stands in the packed w
        inverse[self.weight_index[self.weight_index >= 0]] = np.flatnonzero(self.weight_index >= 0)
        places = inverse.reshape(self.groups, K, C, R, S)
        steps: list[Step] = []
        for p in self._phases:
            rows, columns = p.row_taps[::-1], p.column_taps[::-1]  # e falls, so the places in dy rise
            neighbours = all(a[1] - b[1] == 1 for a, b in itertools.pairwise(columns))
            merge = self.groups == 1 and dy.pixel == K and neighbours  # a row of taps is one run of dy
            at = dy.address + 4 * (p.row_at * dy.row + p.column_at * dy.pixel)
            starts = [-(er * dy.row + es * dy.pixel) for _, er in rows for _, es in (columns[:1] if merge else columns)]
            kernel = np.stack([places[..., r, s] for r, _ in rows for s, _ in columns]) if rows and columns else None
            run = K * (len(columns) if merge else 1)
            cut = Panels(
                choose_outer(self.isa, p.columns, C), tuple(starts) or (0,), run if starts else 1, C, p.columns
            )
            for g in range(self.groups):
                none = np.full((1, 1, C), -1, np.int64)
                index = cut.pack(kernel[:, g].reshape(len(starts), run, C) if kernel is not None else none)
                packed, zero = zeros(cut.size), zeros(cut.padded)
                macs = dy.n * p.rows * p.columns * len(starts) * run * C
                steps += [
                    step(name, gather, x=w, index=index, y=packed, size=cut.size, keep=(w,)),
                    step(name, loops.convolution_forward, tile=str(cut.tile), macs=macs, keep=(dy, dx),
                         x=at + 4 * g * K, x_image=dy.image, x_row=dy.row, xs=dy.pixel, w=packed, bias=zero,
                         y=dx.address + 4 * (p.row * dx.row + p.column * dx.pixel + g * C), y_image=dx.image,
                         y_row=self.window.stride[0] * dx.row, ys=self.window.stride[1] * dx.pixel, n=dy.n, rows=p.rows,
                         columns=p.columns, block=p.rows if dy.n >= PARTS else max(1, -(-p.rows // 8)), floor=NONE,
                         **cut.arguments()),
                ]  # fmt: skip
        return steps


@dataclass(frozen=True)
class _Phase:
    """The inputs i = row + m * stride that meet the same taps: (tap r, e) reads dy at row_at + m - e; columns alike."""

    row: int
    row_at: int
    rows: int
    row_taps: list[tuple[int, int]]
    column: int
    column_at: int
    columns: int
    column_taps: list[tuple[int, int]]


def _sum_parts(name: str, at: NDArray[Any], size: int, parts: int, to: NDArray[Any], offset: int) -> Step:
    y = to.ctypes.data + offset
    return step(name, sum_parts, keep=(to,), parts_at=at, part_size=size, parts=parts, y=y, size=size)
