"""Activations: one function of every number. All gradients need y only, so x is not kept."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.shapes import Shape, positive_shape
from foveal.reference.activation import check_slope


class Activation(Layer):
    """What the activations share: y has the shape of x, whatever that is."""

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`."""
        return positive_shape(input_shape, self.title())


class ReLU(Activation):
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


class LeakyReLU(Activation):
    """``y = x`` where x > 0, else ``slope * x``.

    Parameters
    ----------
    slope : float
        At least 0.

    Raises
    ------
    ParameterError
        An impossible slope.

    Source
    ------
    Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, ICML 2013.

    Examples
    --------
    >>> LeakyReLU(0.2).forward([[-1.0, 2.0]])
    array([[-0.2,  2. ]])
    """

    kind = "leakyrelu"

    def __init__(self, slope: float = 0.01) -> None:
        super().__init__()
        self.slope = check_slope(slope, "LeakyReLU")

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = ops.leaky_relu(x, self.slope)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.leaky_relu_grad(y, dy, self.slope), {}

        return y, backward


class Sigmoid(Activation):
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


class Tanh(Activation):
    """``y = tanh(x)``.

    Examples
    --------
    >>> Tanh().output_shape((6, 14, 14))
    (6, 14, 14)
    """

    kind = "tanh"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = ops.tanh(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.tanh_grad(y, dy), {}

        return y, backward


class ScaledTanh(Activation):
    """``y = 1.7159 * tanh(2/3 * x)``, LeNet's activation.

    Source: LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998, appendix A.

    Examples
    --------
    >>> ScaledTanh().output_shape((6, 14, 14))
    (6, 14, 14)
    """

    kind = "scaledtanh"

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        y = ops.scaled_tanh(x)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.scaled_tanh_grad(y, dy), {}

        return y, backward
