"""Affine, the fully connected layer: every unit reads every number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType

from foveal._formula import Count, product
from foveal.geometry import integer
from foveal.layers.base import Array, Backward, Gradients
from foveal.layers.learned import Learned
from foveal.layers.shapes import Shape, located, positive_shape


class Affine(Learned):
    """``y[n,k] = bias[k] + sum_i x[n,i] * weight[i,k]``. A map is flattened first, in (C, H, W) order.

    Parameters
    ----------
    units : int
        How many numbers y has per example.
    bias : bool
        Whether one number per unit is added.
    weight_std : float, optional
        Standard deviation of initial weights; without it He's, sqrt(2 / in).

    Raises
    ------
    GeometryError, ParameterError
        An impossible value.

    Examples
    --------
    >>> affine = Affine(100)
    >>> affine.output_shape((30, 12, 12)), affine.parameter_shapes((30, 12, 12)), affine.macs((30, 12, 12))
    ((100,), {'weight': (4320, 100), 'bias': (100,)}, 432000)
    """

    kind = "affine"

    def __init__(self, units: int, bias: bool = True, *, weight_std: float | None = None) -> None:
        with located("Affine"):
            super().__init__(bias, weight_std)
            self.units = integer(units, "units")

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        w, bias = p["weight"], p["bias"] if self.use_bias else None
        y = ops.affine(x, w, bias)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dw, db = ops.affine_grad(x, w, dy)
            return dx, {"weight": dw, "bias": db} if self.use_bias else {"weight": dw}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (units,)."""
        positive_shape(input_shape, self.title())
        return (self.units,)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"weight": (in, out), "bias": (out,)}."""
        weight = (math.prod(positive_shape(input_shape, self.title())), self.units)
        return {"weight": weight, "bias": (self.units,)} if self.use_bias else {"weight": weight}

    def fan_in(self, weight_shape: Shape) -> int:
        """Return the numbers per example."""
        return weight_shape[0]

    def parameter_counts(self, input_shape: Shape) -> dict[str, Count]:
        """Return {"weight": C*H*W * out, "bias": out}."""
        weight = product(*input_shape, self.units)
        return {"weight": weight, "bias": product(self.units)} if self.use_bias else {"weight": weight}

    def macs(self, input_shape: Shape) -> int:
        """Return in * out: each weight is used once."""
        return self.parameter_counts(input_shape)["weight"]

    def details(self) -> str:
        """Return ``100 units``."""
        return f"{self.units} units"
