"""Softmax: scores become probabilities. The loss takes scores, so a network for training needs no such layer."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from foveal.errors import ShapeError, explain
from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, positive_shape


class Softmax(Layer):
    """``y[n,k] = exp(x[n,k]) / sum_j exp(x[n,j])``.

    Examples
    --------
    >>> Softmax().output_shape((10,))
    (10,)
    """

    kind = "softmax"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = ops.softmax(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.softmax_grad(y, dy), {}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`, which must be (classes,)."""
        shape = positive_shape(input_shape, self.title())
        if len(shape) != 1:
            fix = "Put Flatten() or Affine(classes) before it."
            raise ShapeError(explain(self.title(), expected="an input of shape (classes,)", got=str(shape), fix=fix))
        return shape
