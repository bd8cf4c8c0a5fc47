"""How a pooling in 1D to 3D runs on channels-last maps: the steps of forward and backward."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.geometry import Window
from foveal.kernels import pooling as loops
from foveal.kernels import pooling_tile
from foveal.kernels.assembler import assemble
from foveal.kernels.buffers import Map, zeros
from foveal.kernels.isa import ISA
from foveal.kernels.lanes import pixels_go_past
from foveal.kernels.reach import Places
from foveal.kernels.reduction import sum_parts
from foveal.kernels.steps import Step, step

VECTORS = 4  # that share the work of a tap, at most
TASK = 1 << 15  # floats of x or y that a task goes through
PARTS = 16  # a batch's gradients of coefficients are summed in at most so many parts


@dataclass(frozen=True)
class Pooling:
    """A pooling layer's geometry and the steps that compute it.

    Parameters
    ----------
    shape : tuple of int
        Of one input map: channels, then 1 to 3 axes.
    window : Window
        As users write it: `rounding` decides whether a last window hangs over the end.
    isa : ISA
    rounding : {"floor", "ceil", "error"}
    count_padding : bool
        Whether a mean counts the padding.
    """

    shape: tuple[int, ...]
    window: Window
    isa: ISA
    rounding: str = "floor"
    count_padding: bool = False

    @functools.cached_property
    def places(self) -> Places:
        """Where the windows land."""
        return Places(self.shape[1:], self.window, self.rounding, self.count_padding)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """Shape of one map of y."""
        return self.shape[0], *self.places.output

    @property
    def code_bits(self) -> int:
        """Bits of a code, which numbers the positions of a window."""
        return next(bits for bits in (8, 16, 32) if math.prod(self.window.kernel) <= 1 << bits)

    def codes(self, n: int) -> NDArray[Any]:
        """Return memory in which `maximum` remembers where the maxima of n images are."""
        return zeros(n * self.places.outputs * math.prod(self._groups) * self.isa.lanes, f"u{self.code_bits // 8}")

    @property
    def _groups(self) -> tuple[int, int]:
        """(vectors that share the work of a tap, such groups in a pixel)."""
        vectors = -(-self.shape[0] // self.isa.lanes)
        groups = -(-vectors // VECTORS)
        return -(-vectors // groups), groups

    def maximum(self, name: str, x: Map, y: Map, codes: NDArray[Any] | None) -> list[Step]:
        """Return the step of y = max over each window; `codes`, if given, remembers where the maxima are."""
        marks = _Marks() if codes is None else self._coded(codes)
        bits = 0 if codes is None else self.code_bits
        return [step(name, loops.pool, keep=(x, y), **self._walk(pooling_tile.maximum, bits, x, y, marks))]

    def maximum_grad(self, name: str, dy: Map, codes: NDArray[Any], dx: Map) -> list[Step]:
        """Return the step of dx: each dy goes to where its maximum was."""
        walk = self._walk(pooling_tile.maximum_grad, self.code_bits, dy, dx, self._coded(codes), backward=True)
        return [step(name, loops.pool, keep=(dy, dx), **walk)]

    def mean(self, name: str, x: Map, y: Map) -> list[Step]:
        """Return the step of y = mean over each window."""
        return [step(name, loops.pool, keep=(x, y), **self._walk(pooling_tile.mean, 0, x, y, self._shares))]

    def mean_grad(self, name: str, dy: Map, dx: Map) -> list[Step]:
        """Return the step of dx: each dy is spread evenly over its window."""
        walk = self._walk(pooling_tile.mean_grad, 0, dy, dx, self._shares, backward=True)
        return [step(name, loops.pool, keep=(dy, dx), **walk)]

    def subsample(self, name: str, x: Map, coefficient: NDArray[Any], bias: NDArray[Any], y: Map) -> list[Step]:
        """Return the step of y = coefficient * (sum over each window) + bias, one of both for each channel."""
        walk = self._walk(pooling_tile.mean, 1, x, y, self._ones) | {"init": coefficient, "db": bias}
        return [step(name, loops.pool, keep=(x, y), **walk)]

    def subsample_grad(
        self, name: str, x: Map, coefficient: NDArray[Any], dy: Map, dx: Map | None, dcoefficient: NDArray[Any],
        dbias: NDArray[Any], threads: int,
    ) -> list[Step]:  # fmt: skip
        """Return the steps of dx, if it is asked for, and of the gradients of coefficient and bias."""
        C, parts = self.shape[0], min(PARTS, dy.n * dy.D * dy.H)
        to, sums = zeros(2 * parts * C), zeros(threads * dy.W * C)
        walk = self._walk(pooling_tile.mean, 0, x, dy, self._ones, past=False) | {"y_pixel": C}
        steps = [
            step(name, loops.coefficient_gradient, keep=(x, dy), dy_pixel=dy.pixel, width=dy.W, parts=parts,
                 gradients=to, sums=sums, **walk),
            step(name, sum_parts, parts_at=to, part_size=2 * C, parts=parts, y=dcoefficient, size=C),
            step(name, sum_parts, parts_at=to[C:], part_size=2 * C, parts=parts, y=dbias, size=C),
        ]  # fmt: skip
        if dx is not None:
            walk = self._walk(pooling_tile.mean_grad, 1, dy, dx, self._ones, backward=True) | {"init": coefficient}
            steps.append(step(name, loops.pool, keep=(dy, dx), **walk))
        return steps

    def _coded(self, codes: NDArray[Any]) -> _Marks:
        """Return the marks of maxima: a code for each channel, up to a whole group of vectors."""
        each = math.prod(self._groups) * self.isa.lanes * codes.itemsize
        return _Marks(codes, each, each * self.places.outputs)

    @property
    def _shares(self) -> _Marks:
        return _Marks(self.places.shares, 4)

    @property
    def _ones(self) -> _Marks:
        return _Marks(self.places.ones, 4)

    def _walk(
        self, kind: Any, option: int, x: Map, y: Map, marks: _Marks, backward: bool = False, past: bool | None = None
    ) -> dict[str, Any]:
        """Return the fields of `pooling.WALK` with a tile that goes from x to y, or backward from dy to dx."""
        axes, (B, _) = self.places.axes, self._groups
        reach = [axis.backward if backward else axis.forward for axis in axes]
        (_, P, Q), (_, R, S) = ([axis.output for axis in axes], [axis.kernel for axis in axes])
        marked = [outputs * marks.each for outputs in (P * Q, Q, 1)]
        read, written = (marked, [0, 0, 0]) if backward else ([0, 0, 0], marked)
        taps = [
            [r.step * floats for r, floats in zip(reach, (x.plane, x.row, x.pixel), strict=True)],
            [r.step * size for r, size in zip(reach, read, strict=True)],
            [r.more * numbers for r, numbers in zip(reach, (R * S, S, 1), strict=True)],
        ]
        made = self.isa, B, option, pixels_go_past(y, self.isa) if past is None else past
        runs = reach[2].runs()
        return {
            "x": x.address, "x_image": x.image, "x_plane": x.plane, "x_row": x.row, "x_pixel": x.pixel,
            "y": y.address, "y_image": y.image, "y_plane": y.plane, "y_row": y.row, "y_pixel": y.pixel,
            "marks": marks.memory, "marks_image": marks.image,
            **dict(zip(("from_plane", "from_row", "from_pixel"), read, strict=True)),
            **dict(zip(("to_plane", "to_row", "to_pixel"), written, strict=True)),
            "walk": assemble(pooling_tile.name(kind.__name__, *made), kind(*made), self.isa),
            "taps": np.array([*taps[0], *taps[1], *taps[2], self.shape[0]], np.int64), "init": 0, "db": 0,
            "n": y.n, "depth": y.D, "height": y.H, "block": max(1, min(y.H, TASK // max(x.row, y.row))),
            "planes": reach[0].table * (1, 1, R * S), "rows": reach[1].table * (1, 1, S), "runs": runs,
            "run_count": len(runs), "channels": self.shape[0],
        }  # fmt: skip


@dataclass(frozen=True)
class _Marks:
    """What is kept for each output: `each` bytes of `memory`, and `image` bytes from an image to the next."""

    memory: NDArray[Any] | int = 0
    each: int = 0
    image: int = 0
