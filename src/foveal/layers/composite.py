"""Layers made of layers. A graph takes in their parts, each as a node of its own; alone they run like any other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from foveal.errors import DTypeError, ParameterError, explain, nearest
from foveal.layers.base import Array, Backward, Gradients, Layer
from foveal.layers.parameters import F32, Parameters
from foveal.layers.shapes import Shape

if TYPE_CHECKING:
    from foveal.graph import Graph, GraphBuilder

Path = Layer | Iterable[Layer]


class Composite(Layer):
    """What layers made of layers share: a subclass says in `expand` how its parts are joined.

    Attributes
    ----------
    name : str or None
        What its nodes are called after in a graph; without it they are called after its kind.
    """

    def __init__(self, name: str | None) -> None:
        super().__init__()
        self.name = check_name(name, self.title())
        self._graphs: dict[Shape, Graph] = {}

    def expand(self, build: GraphBuilder, x: str) -> str:
        """Add the parts to a graph that is being built; `x` and the result are names of nodes."""
        raise NotImplementedError

    def graph(self, input_shape: Shape) -> Graph:
        """Return the parts as a graph of their own."""
        from foveal.graph import GraphBuilder

        shape = tuple(input_shape)
        if shape not in self._graphs:
            build = GraphBuilder(shape)
            self._graphs[shape] = build.graph(self.expand(build, build.input))
        return self._graphs[shape]

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array]) -> tuple[Array, Backward]:
        """Return y and its backward; see `Layer.run`."""
        return self._run(ops, x, p, None)[:2]

    def run_training(
        self, ops: ModuleType, x: Array, p: Mapping[str, Array], seed: int
    ) -> tuple[Array, Backward, dict[str, Array]]:
        """Return y, its backward and new buffers; see `Layer.run_training`."""
        return self._run(ops, x, p, seed)

    def _run(
        self, ops: ModuleType, x: Array, p: Mapping[str, Array], seed: int | None
    ) -> tuple[Array, Backward, dict[str, Array]]:
        graph = self.graph(x.shape[1:])
        run = graph.run(ops, x, p, seed)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return run.backward({graph.output: dy})

        return run.values[graph.output], backward, run.buffers

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of y."""
        return self.graph(input_shape).output_shape

    def parameter_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"branch1/conv1.weight": shape, ...}."""
        return self.graph(input_shape).parameters()

    def buffer_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return {"branch1/batchnorm1.running_mean": shape, ...}."""
        return self.graph(input_shape).buffers()

    def macs(self, input_shape: Shape) -> int:
        """Return the sum over all parts."""
        graph = self.graph(input_shape)
        return sum(node.layer.macs(graph.input_shapes(node.name)[0]) for node in graph.nodes)

    def initialise(self, input_shape: Shape, rng: np.random.Generator) -> None:
        """Initialise the parts, in their order."""
        graph = self.graph(input_shape)
        for node in graph.owners():
            node.layer.initialise(graph.input_shapes(node.name)[0], rng)
        self._gather(graph)

    def accept(self, x_shape: Shape) -> None:
        """Initialise parts that are new for x of `x_shape`, with seed 0; the others check that they can take it."""
        graph, rng = self.graph(x_shape[1:]), np.random.default_rng(0)
        for node in graph.owners():
            if not node.layer.parameters:
                node.layer.initialise(graph.input_shapes(node.name)[0], rng)
        self._gather(graph)
        for node in graph.nodes:
            node.layer.accept((x_shape[0], *graph.input_shapes(node.name)[0]))

    def _gather(self, graph: Graph) -> None:
        self.parameters = Gathered({node.name: node.layer.parameters for node in graph.owners()})
        self.buffers = Gathered({node.name: node.layer.buffers for node in graph.owners()})

    def backward(self, dy: ArrayLike) -> Array:
        """Return dx of the last `forward`, and set `gradients`, here and in each part."""
        dx = super().backward(dy)
        for node in next(iter(self._graphs.values())).owners():
            prefix = node.name + "."
            own = {k.removeprefix(prefix): g for k, g in self.gradients.items() if k.startswith(prefix)}
            node.layer.gradients = own
        return dx


class Gathered(Parameters):
    """The parameters of several layers as one mapping: reads and writes reach theirs.

    Parameters
    ----------
    holders : mapping of Parameters
        By the name that stands before the dot in ``"branch1/conv1.weight"``.
    """

    def __init__(self, holders: Mapping[str, Parameters]) -> None:
        super().__init__()
        self._places = {f"{owner}.{name}": (part, name) for owner, part in holders.items() for name in part.shapes}

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return {name: shape}, without touching the values."""
        return {key: part.shapes[name] for key, (part, name) in self._places.items()}

    def peek(self) -> dict[str, F32]:
        """Return the arrays as they are; see `Parameters.peek`."""
        return {key: part.peek()[name] for key, (part, name) in self._places.items()}

    def __getitem__(self, key: str) -> F32:
        part, name = self._places[key]
        return part[name]

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in self._places:
            known = nearest(key, self._places) if self._places else "There are none."
            raise ParameterError(explain("parameters", expected="a known name", got=repr(key), fix=known))
        part, name = self._places[key]
        part[name] = value

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def as_path(path: Path, where: str) -> tuple[Layer, ...]:
    """Return a layer, or layers that follow each other, as a tuple; an empty one is the identity.

    Raises
    ------
    DTypeError
        Something in it is no layer.
    """
    layers = (path,) if isinstance(path, Layer) else path
    expected = "a layer or a list of layers"
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise DTypeError(explain(where, expected=expected, got=repr(path)))
    layers = tuple(layers)
    for layer in layers:
        if not isinstance(layer, Layer):
            fix = f"Write {layer.__name__}(...)." if isinstance(layer, type) else ""
            raise DTypeError(explain(where, expected=expected, got=repr(layer), fix=fix))
    return layers


def as_argument(path: Sequence[Layer]) -> Any:
    """Return what `as_path` made a path of: the layer itself if there is one."""
    return path[0] if len(path) == 1 else path


def check_name(name: str | None, where: str) -> str | None:
    """Return a name that nodes can be called after, or None.

    Raises
    ------
    ParameterError
        It is empty, or has a "." in it, which stands between a node and its parameter.
    """
    if name is not None and (not isinstance(name, str) or not name or "." in name):
        raise ParameterError(explain(where, expected="a name without '.'", got=repr(name)))
    return name
