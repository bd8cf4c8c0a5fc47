"""Padding of channels: new ones that are 0, so that a shortcut without parameters can join a wider map."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import numpy as np

from foveal.errors import GeometryError, explain
from foveal.geometry import integer
from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, located, positive_shape


class PadChannels(Layer):
    """``y[n,c] = x[n,c]`` for the channels that x has, else 0.

    Parameters
    ----------
    channels : int
        Channels of y, at least as many as x has.

    Raises
    ------
    GeometryError, DTypeError
        An impossible number.

    Source
    ------
    He et al., Deep residual learning for image recognition, CVPR 2016, section 3.3, option A.

    Examples
    --------
    >>> PadChannels(32).output_shape((16, 28, 28))
    (32, 28, 28)
    """

    kind = "pad"

    def __init__(self, channels: int) -> None:
        super().__init__()
        with located("PadChannels"):
            self.channels = integer(channels, "channels")

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = np.zeros((len(x), self.channels, *x.shape[2:]), x.dtype)
        y[:, : x.shape[1]] = x

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return dy[:, : x.shape[1]], {}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (channels, ...)."""
        channels, *spatial = positive_shape(input_shape, self.title())
        if channels > self.channels:
            expected, fix = f"at most {self.channels} channels", f"Convolution({self.channels}, 1) makes fewer."
            raise GeometryError(explain(self.title(), expected=expected, got=str(channels), fix=fix))
        return (self.channels, *spatial)

    def details(self) -> str:
        """Return ``to 32``."""
        return f"to {self.channels}"
