"""What every layer is: hyper-parameters, output shape, parameters, cost, and a forward with its backward beside it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import FormatError, ParameterError, ShapeError, explain, nearest
from foveal.layers.parameters import Parameters
from foveal.layers.shapes import Shape, plain

Array = NDArray[Any]
Gradients = dict[str, Array]
Backward = Callable[[Array], tuple[Array, Gradients]]


class Layer:
    """One step of a network. Subclasses store hyper-parameters in the constructor and say the rest in short methods.

    Attributes
    ----------
    kind : str
        What nodes of a graph are called after: "conv" gives conv1, conv2...
    parameters : Parameters
        The arrays; empty until `initialise` has seen an input shape.
    gradients : dict of arrays
        What the last `backward` found, by parameter name.
    """

    kind: ClassVar[str]
    types: ClassVar[dict[str, type[Layer]]] = {}

    def __init__(self) -> None:
        self.parameters = Parameters()
        self.gradients: Gradients = {}
        self._backward: Backward | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in vars(cls):  # a class without a kind is a step towards layers, not one of them
            Layer.types[cls.__name__] = cls

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of y for an input of `input_shape`, both without N."""
        raise NotImplementedError

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward, ``dy -> (dx, gradients)``. Pure: reads `p`, keeps nothing in the layer.

        Parameters
        ----------
        ops : module
            What computes: `foveal.reference` or `foveal.ops`.
        x : ndarray of shape (N, ...)
            The input.
        p : mapping of arrays
            The parameters, by name.
        """
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments with ``"type"``, ready for JSON."""
        return {"type": type(self).__name__}

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {name: shape} for an input of `input_shape`, without N."""
        return {}

    def macs(self, input_shape: Shape) -> int:
        """Return the multiply-adds of one forward pass of one example; biases are not MACs."""
        return 0

    def initialise(self, input_shape: Shape, rng: np.random.Generator) -> None:
        """Make the parameters for an input of `input_shape`, drawn from `rng`; without any, only check the shape."""
        self.output_shape(input_shape)

    def details(self) -> str:
        """Return what tells one layer of its type from another, for `title`."""
        return ""

    def title(self, name: str = "") -> str:
        """Return what messages call the layer: ``Convolution 'conv1' (30 filters 5x5)``."""
        details = self.details()
        return type(self).__name__ + (f" {name!r}" if name else "") + (f" ({details})" if details else "")

    def forward(self, x: ArrayLike) -> Array:
        """Return y, and remember what `backward` needs. Without `initialise`, the first call draws with seed 0."""
        from foveal import ops

        x = np.asarray(x)
        if x.ndim < 2:
            fix = "One example becomes a batch of one with x[None]."
            raise ShapeError(explain(self.title(), expected="x of shape (N, ...)", got=str(x.shape), fix=fix))
        self.accept(x.shape)
        y, self._backward = self.run(ops, x, self.parameters)
        return y

    def accept(self, x_shape: Shape) -> None:
        """Check that x of `x_shape` can be taken, before anything is computed."""
        self.output_shape(x_shape[1:])

    def backward(self, dy: ArrayLike) -> Array:
        """Return dx of the last `forward`, and set `gradients`."""
        if self._backward is None:
            fix = "Call forward(x) first; backward differentiates that call."
            raise ParameterError(explain(self.title(), expected="forward before backward", got="no forward", fix=fix))
        dx, self.gradients = self._backward(np.asarray(dy))
        return dx

    def __repr__(self) -> str:
        """Return the call that makes the layer, without arguments that have their default."""
        config, parts = plain(self.config()), []
        for name, argument in inspect.signature(type(self)).parameters.items():
            value = plain(config[name])
            if argument.default is inspect.Parameter.empty:
                parts.append(repr(value))
            elif value != argument.default:
                parts.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> Layer:
        """Make the layer that `config` came from; its parameters are not in it.

        Raises
        ------
        FormatError
            The type is unknown, or its arguments are not the constructor's.

        Examples
        --------
        >>> Layer.from_config({"type": "MaxPool", "kernel": 2})
        MaxPool(2)
        """
        name = str(config.get("type"))
        if name not in Layer.types:
            fix = nearest(name, Layer.types)
            raise FormatError(explain("layer", expected="a known type", got=repr(name), fix=fix))
        arguments = {key: plain(value) for key, value in config.items() if key != "type"}
        signature = inspect.signature(Layer.types[name])
        try:
            signature.bind(**arguments)
        except TypeError as error:
            expected, got = f"the arguments {signature}", f"{arguments}"
            raise FormatError(explain(f"layer {name}", expected=expected, got=got, why=str(error))) from None
        return Layer.types[name](**arguments)
