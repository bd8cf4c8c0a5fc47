"""Layers that learn: their initial values, and access to parameters and gradients as the notes write it."""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal._formula import Count, product
from foveal.errors import DTypeError, ParameterError, ShapeError, explain
from foveal.layers.base import Array, Layer
from foveal.layers.parameters import F32, Parameters
from foveal.layers.shapes import Shape


class Parameter:
    """An attribute that reads and writes the parameter of its name: ``layer.weight`` is ``layer.parameters["weight"]``.

    Buffers are found as well.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, layer: None, owner: type) -> Parameter: ...
    @overload
    def __get__(self, layer: WithParameters, owner: type) -> F32: ...
    def __get__(self, layer: WithParameters | None, owner: type) -> Parameter | F32:
        return self if layer is None else self._holder(layer)[self.name]

    def __set__(self, layer: WithParameters, value: ArrayLike) -> None:
        self._holder(layer)[self.name] = np.asarray(value)

    def _holder(self, layer: WithParameters) -> Parameters:
        layer.check_has(self.name)
        if not layer.parameters:
            fix = "Call initialise(input_shape, rng) or forward(x) first."
            raise ParameterError(explain(layer.title(), expected=f"a {self.name}", got="no input shape yet", fix=fix))
        return layer.buffers if self.name in layer.buffers else layer.parameters


class Gradient:
    """An attribute that reads the gradient of a parameter: ``layer.dw`` is ``layer.gradients["weight"]``."""

    def __init__(self, parameter: str, doc: str) -> None:
        self.parameter, self.__doc__ = parameter, doc

    @overload
    def __get__(self, layer: None, owner: type) -> Gradient: ...
    @overload
    def __get__(self, layer: WithParameters, owner: type) -> Array: ...
    def __get__(self, layer: WithParameters | None, owner: type) -> Gradient | Array:
        if layer is None:
            return self
        layer.check_has(self.parameter)
        if self.parameter not in layer.gradients:
            fix = "Call forward(x) and backward(dy) first."
            raise ParameterError(explain(layer.title(), expected="backward before gradients", got="none", fix=fix))
        return layer.gradients[self.parameter]


class WithParameters(Layer):
    """A layer with parameters, and perhaps buffers. Subclasses say which, and their `initial` values."""

    def initial(self, shapes: dict[str, Shape], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Return the first values of parameters of `shapes`, drawn from `rng`."""
        raise NotImplementedError

    def initial_buffers(self, shapes: dict[str, Shape]) -> dict[str, NDArray[Any]]:
        """Return the first values of buffers of `shapes`."""
        return {}

    def parameter_counts(self, input_shape: Shape) -> dict[str, Count]:
        """Return how many numbers each parameter holds, with the formula, for an input of `input_shape`."""
        return {name: product(*shape) for name, shape in self.parameter_shapes(input_shape).items()}

    def initialise(self, input_shape: Shape, rng: np.random.Generator) -> None:
        """Make parameters and buffers for an input of `input_shape`; arrays of the right shapes are filled in place."""
        self.parameters = _filled(self.parameters, self.initial(self.parameter_shapes(input_shape), rng))
        self.buffers = _filled(self.buffers, self.initial_buffers(self.buffer_shapes(input_shape)))

    def accept(self, x_shape: Shape) -> None:
        """Initialise for x of `x_shape` with seed 0, or check that the parameters were made for such an x."""
        shapes = self.parameter_shapes(x_shape[1:])
        if not self.parameters:
            self.initialise(x_shape[1:], np.random.default_rng(0))
        made_for = self.parameters.shapes
        for name, needed in shapes.items():
            if made_for[name] != needed:
                expected, got = f"x for a {name} of shape {made_for[name]}", f"x of shape {tuple(x_shape)}"
                why = f"such an x needs a {name} of shape {needed}"
                fix = "Use a new layer, or initialise(input_shape, rng) again, which forgets what was learned."
                raise ShapeError(explain(self.title(), expected=expected, got=got, why=why, fix=fix))

    def check_has(self, name: str) -> None:
        """Refuse the name of a parameter that this layer was made without."""


class Learned(WithParameters):
    """A layer with a weight and, unless switched off, a bias. After `backward`, `dw` and `db` are their gradients."""

    weight = Parameter("The weights: (K, C/groups, *kernel) of a convolution, (in, out) of an affine layer.")
    bias = Parameter("The bias: one number per filter or unit.")
    dw = Gradient("weight", "Gradient of the weights, of their shape.")
    db = Gradient("bias", "Gradient of the bias, of its shape.")

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

    def initial(self, shapes: dict[str, Shape], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Draw weights N(0, std^2) from `rng`; biases are 0 and draw nothing.

        std is `weight_std`, or sqrt(2 / fan_in), which keeps the variance of a ReLU network from layer to layer.
        Source: He et al., Delving deep into rectifiers, arXiv 1502.01852, eq. 10.
        """
        std = math.sqrt(2 / self.fan_in(shapes["weight"])) if self.weight_std is None else self.weight_std
        weight = rng.standard_normal(shapes["weight"], np.float32) * np.float32(std)
        return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()} | {"weight": weight}

    def argument(self, name: str) -> Any:
        """Return the constructor's argument called `name`; the attribute `bias` is the array."""
        return self.use_bias if name == "bias" else super().argument(name)

    def check_has(self, name: str) -> None:
        """Refuse the bias of a layer without one."""
        if name == "bias" and not self.use_bias:
            raise ParameterError(explain(self.title(), expected="a layer with a bias", got="bias=False"))


def _filled(old: Parameters, new: dict[str, NDArray[Any]]) -> Parameters:
    if old.shapes != {name: array.shape for name, array in new.items()}:
        return Parameters(new)
    old.update(new)  # in place: an engine that holds them sees the change
    return old


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
