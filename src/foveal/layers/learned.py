"""Layers that learn: a weight and a bias, their initial values, and access to both as the notes write it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from foveal.errors import DTypeError, ParameterError, ShapeError, explain
from foveal.layers.base import Array, Layer
from foveal.layers.parameters import F32, Parameters
from foveal.layers.shapes import Shape


class Learned(Layer):
    """A layer with a weight and, unless switched off, a bias. After `backward`, `dw` and `db` are their gradients."""

    def __init__(self, bias: bool, weight_std: float | None) -> None:
        super().__init__()
        if not isinstance(bias, bool | np.bool_):
            raise DTypeError(explain("bias", expected="True or False", got=repr(bias)))
        if weight_std is not None and not (_is_number(weight_std) and 0 <= weight_std < math.inf):
            expected = "a standard deviation of at least 0, or None for He's"
            raise ParameterError(explain("weight_std", expected=expected, got=repr(weight_std)))
        self.use_bias = bool(bias)
        self.weight_std = None if weight_std is None else float(weight_std)

    def fan_in(self, weight_shape: Shape) -> int:
        """Return how many numbers one unit or filter reads."""
        raise NotImplementedError

    def initialise(self, input_shape: Shape, rng: np.random.Generator) -> None:
        """Draw weights N(0, std^2) from `rng`; biases are 0 and draw nothing.

        std is `weight_std`, or sqrt(2 / fan_in), which keeps the variance of a ReLU network from layer to layer.
        Source: He et al., Delving deep into rectifiers, arXiv 1502.01852, eq. 10.
        """
        shapes = self.parameter_shapes(input_shape)
        std = math.sqrt(2 / self.fan_in(shapes["weight"])) if self.weight_std is None else self.weight_std
        new = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        new["weight"] = rng.standard_normal(shapes["weight"], np.float32) * np.float32(std)
        if self.parameters.shapes == shapes:
            self.parameters.update(new)  # in place: an engine that holds them sees the change
        else:
            self.parameters = Parameters(new)

    def accept(self, x_shape: Shape) -> None:
        """Initialise for x of `x_shape` with seed 0, or check that the parameters were made for such an x."""
        shapes = self.parameter_shapes(x_shape[1:])
        if not self.parameters:
            self.initialise(x_shape[1:], np.random.default_rng(0))
        made_for, needed = self.parameters.shapes["weight"], shapes["weight"]
        if made_for != needed:
            expected, got = f"x for a weight of shape {made_for}", f"x of shape {tuple(x_shape)}"
            why = f"such an x needs a weight of shape {needed}"
            fix = "Use a new layer, or initialise(input_shape, rng) again, which forgets the weights."
            raise ShapeError(explain(self.title(), expected=expected, got=got, why=why, fix=fix))

    @property
    def weight(self) -> F32:
        """The weights: (K, C/groups, R, S) of a convolution, (in, out) of an affine layer."""
        return self._known("weight")["weight"]

    @weight.setter
    def weight(self, value: ArrayLike) -> None:
        self._known("weight")["weight"] = np.asarray(value)

    @property
    def bias(self) -> F32:
        """The bias: one number per filter or unit."""
        return self._known("bias")["bias"]

    @bias.setter
    def bias(self, value: ArrayLike) -> None:
        self._known("bias")["bias"] = np.asarray(value)

    @property
    def dw(self) -> Array:
        """Gradient of the weights, of their shape."""
        return self._gradient("weight")

    @property
    def db(self) -> Array:
        """Gradient of the bias, of its shape."""
        return self._gradient("bias")

    def _known(self, name: str) -> Parameters:
        self._has(name)
        if not self.parameters:
            fix = "Call initialise(input_shape, rng) or forward(x) first."
            raise ParameterError(explain(self.title(), expected=f"a {name}", got="no input shape yet", fix=fix))
        return self.parameters

    def _gradient(self, name: str) -> Array:
        self._has(name)
        if name not in self.gradients:
            fix = "Call forward(x) and backward(dy) first."
            raise ParameterError(explain(self.title(), expected="backward before gradients", got="none", fix=fix))
        return self.gradients[name]

    def _has(self, name: str) -> None:
        if name == "bias" and not self.use_bias:
            raise ParameterError(explain(self.title(), expected="a layer with a bias", got="bias=False"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
