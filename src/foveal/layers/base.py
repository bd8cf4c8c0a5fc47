"""What every layer is: hyper-parameters, output shape, parameters, cost, and a forward with its backward beside it.

A few layers do something else while a network learns: dropout drops, batch norm takes the statistics of the batch. For
them there is a second forward, `run_training`; for all others it is `run`. Both are pure. Buffers are what a layer
keeps from step to step without learning it by a gradient, such as running statistics: `run` reads them like parameters,
`run_training` returns new ones, and its caller decides whether they are stored.
"""

from __future__ import annotations

import inspect
from collections import ChainMap
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foveal.errors import FormatError, ParameterError, ShapeError, explain, nearest
from foveal.layers.parameters import Parameters
from foveal.layers.shapes import Shape, map_shape, plain

Array = NDArray[Any]
Gradients = dict[str, Array]
Backward = Callable[[Array], tuple[Array, Gradients]]


def differs_in_training(layer: Layer) -> bool:
    """Whether a layer does something else while a network learns."""
    return type(layer).run_training is not Layer.run_training


class Layer:
    """One step of a network. Subclasses store hyper-parameters in the constructor and say the rest in short methods.

    Attributes
    ----------
    kind : str
        What nodes of a graph are called after: "conv" gives conv1, conv2...
    parameters : Parameters
        The arrays that are learned; empty until `initialise` has seen an input shape.
    buffers : Parameters
        The arrays that are kept without being learned; saved with the network, and no optimizer sees them.
    training : bool
        What `forward` does where training differs; networks do not look at it. True at first, as in PyTorch.
    axes : int
        How many spatial axes the last input shape had; only messages read it.
    gradients : dict of arrays
        What the last `backward` found, by parameter name.
    """

    kind: ClassVar[str]
    types: ClassVar[dict[str, type[Layer]]] = {}

    def __init__(self) -> None:
        self.parameters = Parameters()
        self.buffers = Parameters()
        self.training = True
        self.axes = 2
        self.gradients: Gradients = {}
        self._backward: Backward | None = None
        self._steps = 0

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
            The parameters and buffers, by name.
        """
        raise NotImplementedError

    def run_training(
        self, ops: ModuleType, x: Array, p: Mapping[str, Array], seed: int
    ) -> tuple[Array, Backward, dict[str, Array]]:
        """Return y, its backward and new buffers by name, as they are while a network learns. As pure as `run`.

        Parameters
        ----------
        ops, x, p
            As in `run`.
        seed : int
            Of random numbers, 0 to 2^64 - 1: another one for each step and each place in a network, for which
            `foveal.reference.random.derive` is there.
        """
        return (*self.run(ops, x, p), {})

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments with ``"type"``, ready for JSON."""
        names = inspect.signature(type(self)).parameters
        return {"type": type(self).__name__} | {name: _packed(self.argument(name)) for name in names}

    def argument(self, name: str) -> Any:
        """Return the constructor's argument called `name`: the attribute of the same name."""
        return getattr(self, name)

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {name: shape} for an input of `input_shape`, without N."""
        return {}

    def buffer_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {name: shape} of the buffers for an input of `input_shape`, without N."""
        return {}

    @property
    def state(self) -> Mapping[str, Array]:
        """Parameters and buffers by name: what `run` reads."""
        return ChainMap(self.parameters, self.buffers)

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
        if self.training:
            y, self._backward, buffers = self.run_training(ops, x, self.state, self._steps)
            self.buffers.update(buffers)
            self._steps += 1
        else:
            y, self._backward = self.run(ops, x, self.state)
        return y

    def map_shape(self, input_shape: Shape, kernel: Any = None) -> Shape:
        """Return `input_shape` if it is that of a map with as many axes as `kernel` says; see `shapes.map_shape`."""
        shape = map_shape(input_shape, self.title(), kernel)
        self.axes = len(shape) - 1
        return shape

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
        parts: list[str] = []
        for name, argument in inspect.signature(type(self)).parameters.items():
            value = plain(self.argument(name))
            if argument.kind is inspect.Parameter.VAR_POSITIONAL:
                parts += map(repr, value)
            elif argument.default is inspect.Parameter.empty:
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
        arguments = {key: _unpacked(value) for key, value in config.items() if key != "type"}
        signature = inspect.signature(Layer.types[name])
        parameters = signature.parameters.values()
        starred = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL and p.name in arguments]
        try:
            named = {key: value for key, value in arguments.items() if key not in starred}
            bound = signature.bind(*(value for key in starred for value in arguments[key]), **named)
        except TypeError as error:
            expected, got = f"the arguments {signature}", f"{arguments}"
            raise FormatError(explain(f"layer {name}", expected=expected, got=got, why=str(error))) from None
        return Layer.types[name](*bound.args, **bound.kwargs)


def _packed(argument: Any) -> Any:
    """Return a constructor's argument with the layers in it as their configurations."""
    if isinstance(argument, Layer):
        return argument.config()
    return type(argument)(map(_packed, argument)) if isinstance(argument, list | tuple) else argument


def _unpacked(value: Any) -> Any:
    """Return what `_packed` was given; lists become tuples."""
    if isinstance(value, Mapping) and "type" in value:
        return Layer.from_config(value)
    return tuple(_unpacked(entry) for entry in value) if isinstance(value, list | tuple) else plain(value)
