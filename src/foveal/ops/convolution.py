"""Convolution and its gradients on the register tile: check, lay out channels-last, run, lay out as the notes do."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal.geometry import Padding, PerAxis, Window
from foveal.ops.referred import float_type
from foveal.reference import arguments

if TYPE_CHECKING:
    from foveal.kernels.convolution_steps import Correlation

Array = NDArray[Any]


@functools.lru_cache(maxsize=64)
def _geometry(shape: tuple[int, ...], K: int, window: Window, groups: int, isa: str) -> Correlation:
    from foveal.kernels.convolution_steps import Correlation
    from foveal.kernels.isa import host

    return Correlation(shape, K, window, groups, host())


class _Run:
    """One call: the geometry, and its operands in the kernels' layout."""

    def __init__(self, x: Array, w: Array, window: Window, groups: int) -> None:
        from foveal.kernels.buffers import Map
        from foveal.kernels.isa import host

        self.geometry = _geometry(x.shape[1:], len(w), window, groups, host().name)
        self.x = Map(len(x), x.shape[1:], self.geometry.x_border)
        self.x.view[...] = x
        self.w = self._packed(w, self.geometry.weight_index)

    @staticmethod
    def _packed(values: Array, index: NDArray[np.int64]) -> Array:
        from foveal.kernels.buffers import zeros

        packed = zeros(index.size)
        flat = np.ascontiguousarray(values, np.float32).ravel()
        packed[: index.size] = np.where(index >= 0, flat[index], 0)
        return packed

    @staticmethod
    def _unpacked(packed: Array, index: NDArray[np.int64], shape: tuple[int, ...]) -> Array:
        values = np.empty(int(np.prod(shape)), np.float32)
        values[index[index >= 0]] = packed[: index.size][index >= 0]
        return values.reshape(shape)

    def forward(self, bias: Array | None) -> Array:
        from foveal.kernels.buffers import Map
        from foveal.kernels.steps import program

        g = self.geometry
        y = Map(self.x.n, g.y_shape)
        packed = self._packed(np.zeros(g.K) if bias is None else bias, g.bias_index)
        program(g.forward("correlate", self.x, self.w, packed, y)).run()
        return np.ascontiguousarray(y.view)

    def gradients(self, dy: Array, w_shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
        from foveal.kernels.buffers import Map, zeros
        from foveal.kernels.steps import program

        g, x = self.geometry, self.x
        dym, dx = Map(x.n, g.y_shape, g.dy_border), Map(x.n, x.shape)
        dym.view[...] = dy
        dw, db = zeros(g.weight_size), zeros(g.bias_size)
        steps = g.weight_gradient("dw", x, dym, dw, db) + g.input_gradient("dx", dym, self.w, dx)
        program(steps).run()
        unpacked = self._unpacked(dw, g.weight_index, w_shape), self._unpacked(db, g.bias_index, (g.K,))
        return np.ascontiguousarray(dx.view), *unpacked


def _fast(*arrays: Any) -> bool:
    return float_type(*arrays) == np.float32 and all(a.size for a in arrays if a is not None)


@functools.wraps(reference.correlate)
def correlate(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    rounding: str = "floor",
) -> Array:
    x, w = arguments.maps(x, "correlate"), arguments.real(w, "correlate", "w")
    b = None if bias is None else np.asarray(bias)
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding,
    }  # fmt: skip
    if not _fast(x, w, b):
        return reference.correlate(x, w, b, **options)
    window = arguments.convolution("correlate", x, w, b, **options)
    return _Run(x, w, window, groups).forward(b)


@functools.wraps(reference.convolve)
def convolve(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    rounding: str = "floor",
) -> Array:
    x, w = arguments.maps(x, "convolve"), arguments.real(w, "convolve", "w")
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding,
    }  # fmt: skip
    arguments.convolution("convolve", x, w, bias, **options)
    return correlate(x, w[:, :, ::-1, ::-1], bias, **options)


@functools.wraps(reference.correlate_grad)
def correlate_grad(
    x: ArrayLike,
    w: ArrayLike,
    dy: ArrayLike,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    where = "correlate_grad"
    x, w, dy = arguments.maps(x, where), arguments.real(w, where, "w"), arguments.real(dy, where, "dy")
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if not _fast(x, w, dy):
        return reference.correlate_grad(x, w, dy, **options)
    window = arguments.convolution(where, x, w, None, **options)
    dy = arguments.same_shape(dy, (len(x), len(w), *window.output(x.shape[2:])), where, why="dy has the shape of y")
    return _Run(x, w, window, groups).gradients(dy, w.shape)
