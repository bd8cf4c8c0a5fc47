"""Normalisation: over neighbouring channels (AlexNet's), and over the batch."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.errors import ParameterError, explain
from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.learned import Gradient, Parameter, WithParameters
from foveal.layers.shapes import Shape, positive_shape
from foveal.reference import arguments
from foveal.reference.normalisation import check_response


class LocalResponseNorm(Layer):
    """``y[n,c] = x[n,c] / (k + alpha * sum_j x[n,j]^2)^beta``, the sum over `size` channels around c.

    Parameters
    ----------
    size : int
        Number of channels in the sum.
    alpha, beta, k : float
        As in the paper: alpha is not divided by `size`. ``alpha_torch = alpha * size`` for PyTorch and ONNX.

    Raises
    ------
    GeometryError, ParameterError
        An impossible value.

    Source
    ------
    Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012,
    section 3.3.

    Examples
    --------
    >>> LocalResponseNorm().output_shape((96, 55, 55))
    (96, 55, 55)
    """

    kind = "lrn"

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = check_response(size, alpha, beta, k, "LocalResponseNorm")

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        where = self.size, self.alpha, self.beta, self.k
        y = ops.local_response_norm(x, *where)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.local_response_norm_grad(x, dy, *where), {}

        return y, backward

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`, which must be that of a map."""
        return self.map_shape(input_shape)


class BatchNorm(WithParameters):
    """``y = scale[c] * (x - mean[c]) / sqrt(variance[c] + epsilon) + shift[c]`` for maps (C, ...) or features (C,).

    In training, mean and variance are those of the batch, and the buffers follow them: ``running = (1 - momentum) *
    running + momentum * batch``, where the batch's variance is multiplied by n / (n - 1) first, n the numbers that it
    was computed of. Otherwise mean and variance are the running ones. All as in PyTorch.

    Parameters
    ----------
    epsilon : float
        More than 0; keeps the root from 0.
    momentum : float
        Share of the batch in the running statistics, 0 to 1.

    Raises
    ------
    ParameterError, DTypeError
        An impossible value.

    Source
    ------
    Ioffe and Szegedy, Batch normalization, arXiv 1502.03167, algorithms 1 and 2.

    Examples
    --------
    >>> layer = BatchNorm()
    >>> layer.parameter_shapes((64, 56, 56)), layer.buffer_shapes((64, 56, 56))
    ({'scale': (64,), 'shift': (64,)}, {'running_mean': (64,), 'running_variance': (64,)})
    >>> layer.forward(np.array([[1.0], [3.0]])).round(3), layer.running_mean, layer.running_variance
    (array([[-1.],
           [ 1.]]), array([0.2], dtype=float32), array([1.1], dtype=float32))
    """

    kind = "batchnorm"

    scale = Parameter("What the normalised numbers are multiplied by, one number per channel; the paper's gamma.")
    shift = Parameter("What is added to them, one number per channel; the paper's beta.")
    running_mean = Parameter("The mean that is used when training is over, one number per channel; a buffer.")
    running_variance = Parameter("The variance that is used when training is over, one number per channel; a buffer.")
    dscale = Gradient("scale", "Gradient of the scale.")
    dshift = Gradient("shift", "Gradient of the shift.")

    def __init__(self, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.epsilon = arguments.number(epsilon, "BatchNorm", "epsilon")
        self.momentum = arguments.number(momentum, "BatchNorm", "momentum")
        if self.epsilon <= 0:
            raise ParameterError(explain("BatchNorm", expected="an epsilon of more than 0", got=str(epsilon)))
        if not 0 <= self.momentum <= 1:
            raise ParameterError(explain("BatchNorm", expected="a momentum from 0 to 1", got=str(momentum)))

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward with the running statistics; see `Layer.run`."""
        scale, statistics = p["scale"], (p["running_mean"], p["running_variance"])
        y = ops.batch_norm(x, scale, p["shift"], *statistics, epsilon=self.epsilon)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dscale, dshift = ops.batch_norm_grad(x, scale, dy, *statistics, epsilon=self.epsilon)
            return dx, {"scale": dscale, "shift": dshift}

        return y, backward

    def run_training(
        self, ops: ModuleType, x: Array, p: Mapping[str, Array], seed: int
    ) -> tuple[Array, Backward, dict[str, Array]]:
        """Return y, its backward and new running statistics; see `Layer.run_training`."""
        scale, (mean, variance) = p["scale"], ops.batch_statistics(x)
        y = ops.batch_norm(x, scale, p["shift"], mean, variance, epsilon=self.epsilon)
        n = x.size // x.shape[1]
        new = {"running_mean": mean, "running_variance": variance * (n / max(n - 1, 1))}

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dx, dscale, dshift = ops.batch_norm_grad(x, scale, dy, epsilon=self.epsilon)
            return dx, {"scale": dscale, "shift": dshift}

        return y, backward, {k: (1 - self.momentum) * p[k] + self.momentum * v for k, v in new.items()}

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `input_shape`."""
        return positive_shape(input_shape, self.title())

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"scale": (C,), "shift": (C,)}."""
        channels = self.output_shape(input_shape)[:1]
        return {"scale": channels, "shift": channels}

    def buffer_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"running_mean": (C,), "running_variance": (C,)}."""
        channels = self.output_shape(input_shape)[:1]
        return {"running_mean": channels, "running_variance": channels}

    def initial(self, shapes: dict[str, Shape], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return scales 1 and shifts 0; nothing is drawn."""
        return {"scale": np.ones(shapes["scale"]), "shift": np.zeros(shapes["shift"])}

    def initial_buffers(self, shapes: dict[str, Shape]) -> dict[str, NDArray[Any]]:
        """Return means 0 and variances 1."""
        return {
            "running_mean": np.zeros(shapes["running_mean"]),
            "running_variance": np.ones(shapes["running_variance"]),
        }
