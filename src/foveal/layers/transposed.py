"""Transposed convolution: a copy of the filter is written for every number of the map. It enlarges maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType

from foveal._formula import Count, product, quotient
from foveal.errors import GeometryError, explain
from foveal.geometry import Padding, PerAxis, check_window, integer, kernel_axes, per_axis, transposed
from foveal.layers.base import Array, Backward, Gradients
from foveal.layers.learned import Learned
from foveal.layers.shapes import Shape, located, plain, times


class ConvTranspose(Learned):
    """``y[n,k,p*stride+r,q*stride+s] += x[n,c,p,q] * weight[c,k,r,s]``, plus ``bias[k]``: the adjoint of Convolution.

    Parameters
    ----------
    filters : int
        Channels K of y.
    kernel : int or one per axis
        Filter size (R, S). One per axis also says how many axes a map has; an int takes signals, images and volumes.
    stride, dilation : int or one per axis
        Steps between the copies, and between the taps of a filter.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Positions of y that are cut off at the ends; "same" leaves ``size * stride``.
    output_padding : int or one per axis
        Positions added to y at the end of each axis, fewer than the stride or the dilation.
    groups : int
        Parts into which channels and filters are cut.
    bias : bool
        Whether one number per channel of y is added.
    weight_std : float, optional
        Standard deviation of initial weights; without it He's, sqrt(2 / fan_in), where C/groups * R * S / stride^2
        numbers of x meet in one of y.

    Raises
    ------
    GeometryError, ParameterError
        An impossible value.

    Source
    ------
    Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv 1603.07285, chapter 4.

    Examples
    --------
    >>> layer = ConvTranspose(16, 4, stride=2, padding=1)
    >>> layer.output_shape((32, 14, 14)), layer.parameter_shapes((32, 14, 14))["weight"], layer.macs((32, 14, 14))
    ((16, 28, 28), (32, 16, 4, 4), 1605632)
    """

    kind = "convtranspose"

    def __init__(
        self,
        filters: int,
        kernel: PerAxis,
        *,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        weight_std: float | None = None,
    ) -> None:
        with located("ConvTranspose"):
            super().__init__(bias, weight_std)
            check_window(kernel, stride, padding, dilation)
            per_axis(output_padding, kernel_axes(output_padding) or 1, "output_padding", least=0)
            self.filters, self.groups = integer(filters, "filters"), integer(groups, "groups")
        self.kernel, self.stride, self.padding = plain(kernel), plain(stride), plain(padding)
        self.output_padding, self.dilation = plain(output_padding), plain(dilation)
        if self.filters % self.groups:
            expected = f"groups that divide {self.filters} filters"
            raise GeometryError(explain(self.title(), expected=expected, got=str(self.groups)))

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        w, bias = p["weight"], p["bias"] if self.use_bias else None
        names = ("stride", "padding", "output_padding", "dilation", "groups")
        where = {name: getattr(self, name) for name in names}
        y = ops.conv_transpose(x, w, bias, **where)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dw, db = ops.conv_transpose_grad(x, w, dy, **where)
            return dx, {"weight": dw, "bias": db} if self.use_bias else {"weight": dw}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (K, P, Q)."""
        channels, *spatial = self.map_shape(input_shape, self.kernel)
        if channels % self.groups:
            expected, fix = f"channels that groups={self.groups} divides", "Change groups or the layer before."
            raise GeometryError(explain(self.title(), expected=expected, got=f"{channels} channels", fix=fix))
        with located(self.title()):
            where = self.stride, self.padding, self.output_padding, self.dilation
            return (self.filters, *transposed(spatial, self.kernel, *where)[1])

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"weight": (C, K/groups, R, S), "bias": (K,)}."""
        kernel = per_axis(self.kernel, len(self.output_shape(input_shape)) - 1, "kernel")
        weight = (input_shape[0], self.filters // self.groups, *kernel)
        return {"weight": weight, "bias": (self.filters,)} if self.use_bias else {"weight": weight}

    def fan_in(self, weight_shape: Shape) -> int:
        """Return C/groups * R * S divided by the strides of both axes, at least 1."""
        stride = math.prod(per_axis(self.stride, len(weight_shape) - 2, "stride"))
        return max(1, weight_shape[0] // self.groups * math.prod(weight_shape[2:]) // stride)

    def parameter_counts(self, input_shape: Shape) -> dict[str, Count]:
        """Return {"weight": R*S * C * K/groups, "bias": K}."""
        (channels, _, *kernel), *bias = self.parameter_shapes(input_shape).values()
        weight = product(*kernel, channels, quotient(self.filters, self.groups))
        return {"weight": weight, "bias": product(self.filters)} if bias else {"weight": weight}

    def macs(self, input_shape: Shape) -> int:
        """Return R*S * C * K/groups * H*W: each weight is used once at each position of x."""
        return product(self.parameter_counts(input_shape)["weight"], *input_shape[1:])

    def details(self) -> str:
        """Return ``16 filters 4x4``."""
        return f"{self.filters} filters {times(self.kernel, self.axes)}"
