"""Convolution: every filter is moved over the map, and each position becomes one number of its output map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType

from foveal._formula import Count, product, quotient
from foveal.errors import GeometryError, explain
from foveal.geometry import Padding, PerAxis, Window, check_window, integer, per_axis
from foveal.layers.base import Array, Backward, Gradients
from foveal.layers.learned import Learned
from foveal.layers.shapes import Shape, located, plain, times


class Convolution(Learned):
    """``y[n,k,p,q] = bias[k] + sum_crs x[n,c,p+r,q+s] * weight[k,c,r,s]``: cross-correlation, as in deep learning.

    Parameters
    ----------
    filters : int
        Number of filters K, the channels of y.
    kernel : int or one per axis
        Filter size (R, S). One per axis also says how many axes a map has: 1 for signals, 2 for images, 3 for volumes;
        an int takes any.
    stride, dilation : int or one per axis
        Steps between windows, and between the taps of a window.
    padding : int, one per axis, (before, after) pairs, "valid" or "same"
        Zeros around the map.
    groups : int
        Parts into which channels and filters are cut; filters read the channels of their part only.
    bias : bool
        Whether one number per filter is added.
    weight_std : float, optional
        Standard deviation of initial weights; without it He's, sqrt(2 / (C/groups * R * S)).

    Raises
    ------
    GeometryError, ParameterError
        An impossible value.

    Source
    ------
    LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998.

    Examples
    --------
    >>> conv = Convolution(30, 5)
    >>> conv.output_shape((1, 28, 28)), conv.parameter_shapes((1, 28, 28)), conv.macs((1, 28, 28))
    ((30, 24, 24), {'weight': (30, 1, 5, 5), 'bias': (30,)}, 432000)
    >>> Convolution(128, 9, stride=4).output_shape((64, 8000))  # a signal
    (128, 1998)
    """

    kind = "conv"

    def __init__(
        self,
        filters: int,
        kernel: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        weight_std: float | None = None,
    ) -> None:
        with located("Convolution"):
            super().__init__(bias, weight_std)
            check_window(kernel, stride, padding, dilation)
            self.filters, self.groups = integer(filters, "filters"), integer(groups, "groups")
        self.kernel, self.stride = plain(kernel), plain(stride)
        self.padding, self.dilation = plain(padding), plain(dilation)
        if self.filters % self.groups:
            expected = f"groups that divide {self.filters} filters"
            raise GeometryError(explain(self.title(), expected=expected, got=str(self.groups)))

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        w, bias = p["weight"], p["bias"] if self.use_bias else None
        where = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}
        y = ops.correlate(x, w, bias, **where)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dw, db = ops.correlate_grad(x, w, dy, **where)
            return dx, {"weight": dw, "bias": db} if self.use_bias else {"weight": dw}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (K, P, Q)."""
        channels, *spatial = self.map_shape(input_shape, self.kernel)
        if channels % self.groups:
            expected, fix = f"channels that groups={self.groups} divides", "Change groups or the layer before."
            raise GeometryError(explain(self.title(), expected=expected, got=f"{channels} channels", fix=fix))
        with located(self.title()):
            window = Window.resolve(spatial, self.kernel, self.stride, self.padding, self.dilation)
            return (self.filters, *window.output(spatial))

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"weight": (K, C/groups, R, S), "bias": (K,)}."""
        kernel = per_axis(self.kernel, len(self.output_shape(input_shape)) - 1, "kernel")
        weight = (self.filters, input_shape[0] // self.groups, *kernel)
        return {"weight": weight, "bias": (self.filters,)} if self.use_bias else {"weight": weight}

    def fan_in(self, weight_shape: Shape) -> int:
        """Return C/groups * R * S."""
        return math.prod(weight_shape[1:])

    def parameter_counts(self, input_shape: Shape) -> dict[str, Count]:
        """Return {"weight": R*S * C/groups * K, "bias": K}."""
        (filters, _, *kernel), *bias = self.parameter_shapes(input_shape).values()
        weight = product(*kernel, quotient(input_shape[0], self.groups), filters)
        return {"weight": weight, "bias": product(filters)} if bias else {"weight": weight}

    def macs(self, input_shape: Shape) -> int:
        """Return R*S * C/groups * K * P*Q: each weight is used once at each position of y."""
        return product(self.parameter_counts(input_shape)["weight"], *self.output_shape(input_shape)[1:])

    def details(self) -> str:
        """Return ``30 filters 5x5``."""
        return f"{self.filters} filters {times(self.kernel, self.axes)}"
