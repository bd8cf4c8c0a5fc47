"""Activations: one function of every number. Both gradients need y only, so x is not kept."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, positive_shape


class ReLU(Layer):
    """``y = max(x, 0)``.

    Source: Nair and Hinton, Rectified linear units improve restricted Boltzmann machines, ICML 2010.

    Examples
    --------
    >>> ReLU().output_shape((30, 24, 24))
    (30, 24, 24)
    """

    kind = "relu"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = ops.relu(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.relu_grad(y, dy), {}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`."""
        return positive_shape(input_shape, self.title())


class Sigmoid(Layer):
    """``y = 1 / (1 + exp(-x))``.

    Examples
    --------
    >>> Sigmoid().output_shape((10,))
    (10,)
    """

    kind = "sigmoid"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = ops.sigmoid(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.sigmoid_grad(y, dy), {}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`."""
        return positive_shape(input_shape, self.title())
