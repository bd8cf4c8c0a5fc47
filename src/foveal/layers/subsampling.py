"""Subsampling, LeNet's pooling: the sum of every window, times a number and plus a number that the channel learns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal._formula import product
from foveal.geometry import PerAxis, Window, check_window, per_axis
from foveal.layers.base import Array, Backward, Gradients
from foveal.layers.learned import Gradient, Parameter, WithParameters
from foveal.layers.shapes import Shape, located, plain, times


class Subsampling(WithParameters):
    """``y[n,c,p,q] = coefficient[c] * sum_rs x[n, c, p*stride + r, q*stride + s] + bias[c]``.

    Coefficients begin at 1/(R*S) and biases at 0: average pooling.

    Parameters
    ----------
    kernel : int or one per axis
        Size of a window. An int takes signals, images and volumes.
    stride : int or one per axis, optional
        Steps between windows; without it the kernel, so that windows touch without overlap.

    Raises
    ------
    GeometryError, DTypeError
        An impossible value.

    Source
    ------
    LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, section II.B.

    Examples
    --------
    >>> layer = Subsampling()
    >>> layer.output_shape((6, 28, 28)), layer.parameter_shapes((6, 28, 28))
    ((6, 14, 14), {'coefficient': (6,), 'bias': (6,)})
    """

    kind = "subsampling"

    coefficient = Parameter("What the sum of a window is multiplied by, one number per channel.")
    bias = Parameter("What is added, one number per channel.")
    dcoefficient = Gradient("coefficient", "Gradient of the coefficients.")
    db = Gradient("bias", "Gradient of the bias.")

    def __init__(self, kernel: PerAxis = 2, stride: PerAxis | None = None) -> None:
        super().__init__()
        with located("Subsampling"):
            check_window(kernel, kernel if stride is None else stride)
        self.kernel, self.stride = plain(kernel), plain(kernel if stride is None else stride)

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        coefficient = p["coefficient"]
        y = ops.subsample(x, coefficient, p["bias"], self.kernel, stride=self.stride)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dcoefficient, db = ops.subsample_grad(x, coefficient, dy, self.kernel, stride=self.stride)
            return dx, {"coefficient": dcoefficient, "bias": db}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, P, Q)."""
        channels, *spatial = self.map_shape(input_shape, self.kernel)
        with located(self.title()):
            return (channels, *Window.resolve(spatial, self.kernel, self.stride).output(spatial))

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"coefficient": (C,), "bias": (C,)}."""
        channels = self.output_shape(input_shape)[:1]
        return {"coefficient": channels, "bias": channels}

    def initial(self, shapes: dict[str, Shape], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return coefficients 1/(R*S) and biases 0; nothing is drawn."""
        size = math.prod(per_axis(self.kernel, self.axes, "kernel"))
        return {"coefficient": np.full(shapes["coefficient"], 1 / size), "bias": np.zeros(shapes["bias"])}

    def macs(self, input_shape: Shape) -> int:
        """Return C*P*Q: one multiplication by a coefficient for each number of y."""
        return product(*self.output_shape(input_shape))

    def argument(self, name: str) -> Any:
        """Return the constructor's argument called `name`; a stride that is the kernel need not be given."""
        return None if name == "stride" and self.stride == self.kernel else super().argument(name)

    def details(self) -> str:
        """Return ``2x2``, with the stride where it is another."""
        return times(self.kernel, self.axes) + ("" if self.stride == self.kernel else f", stride {self.stride}")
