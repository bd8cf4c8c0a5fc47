"""Convolution, its transpose and their gradients on the register tile: check, lay out, run, lay out as the notes do.

One program does it all: it packs the filters, brings x into channels-last memory, convolves, and writes the result in
the users' order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal import reference
from foveal.errors import DataError, explain
from foveal.geometry import Padding, PerAxis, Window
from foveal.ops import fourier
from foveal.ops.method import check_method, choose
from foveal.ops.referred import float_type, referred
from foveal.reference import arguments
from foveal.reference.convolution import filtered, per_channel
from foveal.reference.im2col import windows

if TYPE_CHECKING:
    from foveal.kernels.convolution_steps import Correlation
    from foveal.kernels.steps import Step

Array = NDArray[Any]
_METHOD = """    method : {"auto", "direct", "im2col", "fft"}
        The algorithm: sums in registers; one product with the matrix of all windows; Fourier transforms of blocks.
        `choose_method` says what "auto" takes, and why.
"""


def _with_method(formula: Callable[..., Any]) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Give a function the docstring of its formula, with the argument that only the fast one has."""

    def describe(function: Callable[..., Array]) -> Callable[..., Array]:
        function.__doc__ = (formula.__doc__ or "").replace("\n    Returns\n", _METHOD + "\n    Returns\n", 1)
        return function

    return describe


@functools.lru_cache(maxsize=64)
def _geometry(shape: tuple[int, ...], K: int, window: Window, groups: int, isa: str) -> Correlation:
    from foveal.kernels.depthwise_steps import correlation
    from foveal.kernels.isa import host

    return correlation(shape, K, window, groups, host())


class _Tile:
    """One call: what `Correlation` asks for, made of the users' arrays, and its results in their layout."""

    def __init__(self, shape: tuple[int, ...], w: Array, window: Window, groups: int) -> None:
        from foveal.kernels.isa import host

        self.geometry = _geometry(shape, len(w), window, groups, host().name)
        self.steps: list[Step] = []
        self.w = self._gathered(w, self.geometry.weight_index)

    def _gathered(self, values: Array, index: NDArray[np.int64]) -> Array:
        from foveal.kernels.buffers import zeros
        from foveal.kernels.reduction import gather
        from foveal.kernels.steps import step

        packed, flat = zeros(index.size), np.ascontiguousarray(values, np.float32)
        self.steps += [step("pack", gather, x=flat, index=index, y=packed, size=index.size)]
        return packed

    def _map(self, x: Array, border: Any) -> Any:
        from foveal.kernels import image_steps
        from foveal.kernels.buffers import Map

        made, source = Map(len(x), x.shape[1:], border), np.ascontiguousarray(x, np.float32)
        self.steps += [image_steps.read("in", source, made)]
        return made

    def _array(self, n: int, shape: tuple[int, ...], fill: Callable[[Any], list[Step]]) -> Array:
        """Return the array of a map that `fill` computes."""
        from foveal.kernels import image_steps
        from foveal.kernels.buffers import Map

        made, target = Map(n, shape), np.empty((n, *shape), np.float32)
        self.steps += [*fill(made), image_steps.write("out", made, target)]
        return target

    def _scattered(self, packed: Array, index: NDArray[np.int64], shape: tuple[int, ...]) -> Array:
        from foveal.kernels.reduction import scatter
        from foveal.kernels.steps import step

        values = np.empty(shape, np.float32)
        self.steps += [step("unpack", scatter, x=packed, index=index, y=values, size=index.size)]
        return values

    def run(self) -> None:
        """Do it all."""
        from foveal.kernels.steps import program

        program(self.steps).run()

    def y(self, x: Array, bias: Array | None) -> Array:
        """Add the steps of correlate(x, w) + bias."""
        from foveal.kernels.buffers import zeros

        g, x_map = self.geometry, self._map(x, self.geometry.x_border)
        b = zeros(g.bias_size) if bias is None else self._gathered(bias, g.bias_index)
        return self._array(len(x), g.y_shape, lambda y: g.forward("correlate", x_map, self.w, b, y))

    def dx(self, dy: Array, bias: Array | None = None) -> Array:
        """Add the steps of the gradient in x, which with a bias is the transposed convolution of dy."""
        g, dy_map = self.geometry, self._map(dy, self.geometry.dy_border)
        b = None if bias is None else np.ascontiguousarray(bias, np.float32)
        return self._array(len(dy), g.shape, lambda dx: g.input_gradient("dx", dy_map, self.w, dx, b))

    def dw(self, x: Array, dy: Array, w_shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Add the steps of the gradients in w and in the bias."""
        from foveal.kernels.buffers import zeros

        g = self.geometry
        dw, db = zeros(g.weight_size), zeros(g.bias_size)
        self.steps += g.weight_gradient("dw", self._map(x, g.x_border), self._map(dy, g.dy_border), dw, db)
        return self._scattered(dw, g.weight_index, w_shape), self._scattered(db, g.bias_index, (g.K,))


def _gradient(dy: ArrayLike, y_shape: tuple[int, ...], where: str, single: bool) -> Array:
    shape = y_shape[1:] if single else y_shape
    return arguments.same_shape(dy, shape, where, why="dy has the shape of y").reshape(y_shape)


def _all_windows(x: Array, tile: _Tile) -> Array:
    """Return maps x for a transposed convolution, 0 for windows that `output_padding` made room for behind them."""
    more = [(0, out - n) for n, out in zip(x.shape[2:], tile.geometry.output, strict=True)]
    return np.pad(x, [(0, 0), (0, 0), *more]) if any(map(any, more)) else x


def _fast(*arrays: Any) -> bool:
    return float_type(*arrays) == np.float32 and all(a.size for a in arrays if a is not None)


@_with_method(reference.correlate)
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
    method: str = "auto",
) -> Array:
    where, w = "correlate", arguments.filters(w, "correlate")
    maps, single = arguments.batch(x, where, w.ndim - 2)
    b = None if bias is None else np.asarray(bias)
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding,
    }  # fmt: skip
    window = arguments.convolution(where, maps, w, b, **options)
    kind = float_type(maps, w, b)
    if check_method(method) == "auto":
        method = choose(maps.shape, w.shape, window, groups, kind).method if maps.size else "im2col"
        if method == "fft" and not (np.isfinite(maps).all() and np.isfinite(w).all()):
            method = "direct"  # a transform would spread what is not finite over its whole block
    y = _ALGORITHMS[method if maps.size else "im2col"](maps, w, b, window, groups, kind)
    return y[0] if single else y


def _direct(x: Array, w: Array, bias: Array | None, window: Window, groups: int, kind: np.dtype[Any]) -> Array:
    if kind == np.float32:
        tile = _Tile(x.shape[1:], w, window, groups)
        y = tile.y(x, bias)
        tile.run()
        return y
    padded = np.pad(x.astype(kind), ((0, 0), (0, 0), *window.padding))
    filters = w.astype(kind).reshape(groups, len(w) // groups, *w.shape[1:])
    output = window.output(x.shape[2:])
    y = np.zeros((len(x), groups, len(w) // groups, *output), kind)
    for tap in np.ndindex(*window.kernel):  # one product of matrices for each tap, and no matrix of all of them
        axes = zip(tap, window.dilation, window.stride, output, strict=True)
        seen = padded[:, :, *(slice(t * d, t * d + (out - 1) * s + 1, s) for t, d, s, out in axes)]
        grouped = seen.reshape(len(x), groups, -1, *output)
        y += np.einsum("gkc,ngc...->ngk...", filters[:, :, :, *tap], grouped)
    return _biased(y.reshape(len(x), len(w), *output), bias)


def _im2col(x: Array, w: Array, bias: Array | None, window: Window, groups: int, kind: np.dtype[Any]) -> Array:
    return _biased(filtered(windows(x.astype(kind), window), w.astype(kind), groups), bias)


def _fft(x: Array, w: Array, bias: Array | None, window: Window, groups: int, kind: np.dtype[Any]) -> Array:
    from foveal.kernels.threads import available

    if not (np.isfinite(x).all() and np.isfinite(w).all()):
        why = "a Fourier transform would spread it over all outputs"
        fix = "Use method='direct', which keeps it where it is, or remove it from x and w."
        raise DataError(explain("method 'fft'", expected="finite x and w", got="NaN or inf", why=why, fix=fix))
    y = fourier.correlate(x.astype(kind, copy=False), w.astype(kind, copy=False), window, groups, available())
    return _biased(y, bias)


def _biased(y: Array, bias: Array | None) -> Array:
    if bias is not None:
        y += per_channel(bias, y.ndim).astype(y.dtype)
    return y


_ALGORITHMS = {"direct": _direct, "im2col": _im2col, "fft": _fft}


@_with_method(reference.convolve)
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
    method: str = "auto",
) -> Array:
    w = arguments.filters(w, "convolve")
    maps, _ = arguments.batch(x, "convolve", w.ndim - 2)
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "rounding": rounding,
    }  # fmt: skip
    arguments.convolution("convolve", maps, w, bias, **options)
    return correlate(x, np.flip(w, tuple(range(2, w.ndim))), bias, **options, method=method)


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
    where, w = "correlate_grad", arguments.filters(w, "correlate_grad")
    maps, single = arguments.batch(x, where, w.ndim - 2)
    options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if not _fast(maps, w, np.asarray(dy)):
        result: tuple[Array, Array, Array] = referred(reference.correlate_grad)(x, w, dy, **options)
        return result
    window = arguments.convolution(where, maps, w, None, **options)
    gradient = _gradient(dy, (len(maps), len(w), *window.output(maps.shape[2:])), where, single)
    tile = _Tile(maps.shape[1:], w, window, groups)
    dx = tile.dx(gradient)
    dw, db = tile.dw(maps, gradient, w.shape)
    tile.run()
    return dx[0] if single else dx, dw, db


@functools.wraps(reference.conv_transpose)
def conv_transpose(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Array:
    where, w = "conv_transpose", arguments.filters(w, "conv_transpose", "C, K/groups")
    maps, single = arguments.batch(x, where, w.ndim - 2)
    b = None if bias is None else np.asarray(bias)
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation, "groups": groups,
    }  # fmt: skip
    if not _fast(maps, w, b):
        result: Array = referred(reference.conv_transpose)(x, w, b, **options)
        return result
    window, y_shape = arguments.transposed_convolution(where, maps, w, b, **options)
    tile = _Tile(y_shape[1:], w, window, groups)
    y = tile.dx(_all_windows(maps, tile), b)
    tile.run()
    return y[0] if single else y


@functools.wraps(reference.conv_transpose_grad)
def conv_transpose_grad(
    x: ArrayLike,
    w: ArrayLike,
    dy: ArrayLike,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    output_padding: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    where, w = "conv_transpose_grad", arguments.filters(w, "conv_transpose_grad", "C, K/groups")
    maps, single = arguments.batch(x, where, w.ndim - 2)
    options: dict[str, Any] = {
        "stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation, "groups": groups,
    }  # fmt: skip
    if not _fast(maps, w, np.asarray(dy)):
        result: tuple[Array, Array, Array] = referred(reference.conv_transpose_grad)(x, w, dy, **options)
        return result
    window, y_shape = arguments.transposed_convolution(where, maps, w, None, **options)
    gradient = _gradient(dy, y_shape, where, single)
    tile = _Tile(y_shape[1:], w, window, groups)
    dx = tile.y(gradient, None)
    dw, _ = tile.dw(gradient, _all_windows(maps, tile), w.shape)
    tile.run()
    dx = dx[:, :, *(slice(n) for n in maps.shape[2:])]
    db = gradient.sum(axis=(0, *range(2, gradient.ndim)), dtype=np.float64)
    return dx[0] if single else dx, dw, db.astype(np.float32)
