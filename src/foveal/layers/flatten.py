"""Flatten: a map becomes a row, in (C, H, W) order. Affine does it by itself; this names the step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType

from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, positive_shape


class Flatten(Layer):
    """``y[n, (c*H + h)*W + w] = x[n, c, h, w]``.

    Examples
    --------
    >>> Flatten().output_shape((30, 12, 12))
    (4320,)
    """

    kind = "flatten"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = x.reshape(len(x), math.prod(x.shape[1:]))

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return dy.reshape(x.shape), {}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C*H*W,)."""
        return (math.prod(positive_shape(input_shape, self.title())),)
