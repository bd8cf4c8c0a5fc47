"""Convolution by a table of connections: each filter reads the channels that its row of the table names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal._formula import Count, product
from foveal.errors import DTypeError, GeometryError, explain
from foveal.geometry import Padding, PerAxis, Window, check_window, integer, per_axis
from foveal.layers.base import Array, Backward, Gradients
from foveal.layers.learned import Learned
from foveal.layers.shapes import Shape, located, plain, times

Table = tuple[tuple[int, ...], ...]


class SparseConvolution(Learned):
    """``y[n,k,p,q] = bias[k] + sum_l sum_rs x[n,channel[l],p+r,q+s] * weight[l,r,s]`` over the links l of filter k.

    A link is a pair of a filter and a channel that it reads. Only links have weights: (L, R, S), in the order of the
    table.

    Parameters
    ----------
    table : iterable of iterables of int
        For each filter the channels that it reads, counted from 0, each at most once.
    kernel, stride, padding, dilation, bias
        As of `Convolution`.
    weight_std : float, optional
        Standard deviation of initial weights; without it He's, sqrt(2 / (channels that the filter reads * R * S)).

    Raises
    ------
    GeometryError, ParameterError, DTypeError
        An impossible value.

    Source
    ------
    LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, section II.B, table I.

    Examples
    --------
    >>> layer = SparseConvolution([(0, 1), (1, 2), (0, 1, 2)], 5)
    >>> layer.output_shape((3, 14, 14)), layer.parameter_shapes((3, 14, 14)), layer.macs((3, 14, 14))
    ((3, 10, 10), {'weight': (7, 5, 5), 'bias': (3,)}, 17500)
    """

    kind = "sparseconv"

    def __init__(
        self,
        table: Iterable[Iterable[int]],
        kernel: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        bias: bool = True,
        *,
        weight_std: float | None = None,
    ) -> None:
        with located("SparseConvolution"):
            super().__init__(bias, weight_std)
            check_window(kernel, stride, padding, dilation)
            self.table = _check_table(table)
        self.kernel, self.stride = plain(kernel), plain(stride)
        self.padding, self.dilation = plain(padding), plain(dilation)
        links = [(k, c) for k, channels in enumerate(self.table) for c in channels]
        self._filters, self._channels = np.array(links).T

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`. It is the dense convolution whose other weights are 0."""
        weight, bias = p["weight"], p["bias"] if self.use_bias else None
        where = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        w = np.zeros((len(self.table), x.shape[1], *weight.shape[1:]), weight.dtype)
        w[self._filters, self._channels] = weight
        y = ops.correlate(x, w, bias, **where)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dw, db = ops.correlate_grad(x, w, dy, **where)
            dweight = dw[self._filters, self._channels]
            return dx, {"weight": dweight, "bias": db} if self.use_bias else {"weight": dweight}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (K, P, Q)."""
        channels, *spatial = self.map_shape(input_shape, self.kernel)
        last = int(self._channels.max())
        if last >= channels:
            expected, fix = f"at least {last + 1} channels", "The table counts channels from 0."
            raise GeometryError(explain(self.title(), expected=expected, got=str(channels), fix=fix))
        with located(self.title()):
            window = Window.resolve(spatial, self.kernel, self.stride, self.padding, self.dilation)
            return (len(self.table), *window.output(spatial))

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"weight": (L, R, S), "bias": (K,)}."""
        filters, *spatial = self.output_shape(input_shape)
        weight = (len(self._filters), *per_axis(self.kernel, len(spatial), "kernel"))
        return {"weight": weight, "bias": (filters,)} if self.use_bias else {"weight": weight}

    def links(self, channels: int) -> NDArray[np.int64]:
        """Return for each filter and channel the place of their link in the weight, (K, C), or -1 if there is none."""
        places = np.full((len(self.table), channels), -1)
        places[self._filters, self._channels] = np.arange(len(self._filters))
        return places

    def fan_ins(self, weight_shape: Shape) -> NDArray[np.int64]:
        """Return for each link how many numbers its filter reads, (L, 1, 1): filters differ."""
        reads: NDArray[np.int64] = np.array([len(self.table[k]) for k in self._filters])
        return reads.reshape(-1, *(1 for _ in weight_shape[1:])) * math.prod(weight_shape[1:])

    def initial(self, shapes: dict[str, Shape], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Draw weights N(0, std^2) as `Learned.initial`, with the fan-in of each filter."""
        shape = shapes["weight"]
        std = np.sqrt(2 / self.fan_ins(shape)) if self.weight_std is None else self.weight_std
        weight = rng.standard_normal(shape, np.float32) * np.float32(std)
        return {name: np.zeros(s, np.float32) for name, s in shapes.items()} | {"weight": weight}

    def parameter_counts(self, input_shape: Shape) -> dict[str, Count]:
        """Return {"weight": R*S * L, "bias": K}."""
        (links, *kernel), *bias = self.parameter_shapes(input_shape).values()
        weight = product(*kernel, links)
        return {"weight": weight, "bias": product(len(self.table))} if bias else {"weight": weight}

    def macs(self, input_shape: Shape) -> int:
        """Return R*S * L * P*Q: each weight is used once at each position of y."""
        return product(self.parameter_counts(input_shape)["weight"], *self.output_shape(input_shape)[1:])

    def details(self) -> str:
        """Return ``16 filters 5x5, 60 links``."""
        return f"{len(self.table)} filters {times(self.kernel, self.axes)}, {len(self._filters)} links"


def _check_table(table: Any) -> Table:
    """Return the table as tuples of ints; no filters, filters without channels and double links are refused."""
    try:
        rows = [list(channels) for channels in table]
    except TypeError:
        fix = "[(0, 1), (1, 2)] has two filters, which read two channels each."
        expected = "for each filter the channels that it reads"
        raise DTypeError(explain("table", expected=expected, got=repr(table), fix=fix)) from None
    if not rows:
        raise GeometryError(explain("table", expected="at least one filter", got="none"))
    for k, channels in enumerate(rows):
        for c in channels:
            integer(c, f"table[{k}]", least=0)
        if not channels or len(set(channels)) < len(channels):
            raise GeometryError(explain(f"table[{k}]", expected="channels, each once", got=str(tuple(channels))))
    return tuple(tuple(int(c) for c in channels) for channels in rows)
