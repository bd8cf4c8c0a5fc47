"""The graph: nodes with names and shapes, in an order in which they can run."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from foveal.errors import FormatError, FovealError, ParameterError, ShapeError, explain, nearest
from foveal.graph import checks
from foveal.graph.checks import INPUT
from foveal.graph.fitting import hinted
from foveal.layers.base import Array, Layer
from foveal.layers.shapes import Shape, positive_shape
from foveal.layers.softmax import Softmax

if TYPE_CHECKING:
    from foveal.graph.formula import Run

Outputs = str | Iterable[str] | Mapping[str, str]


@dataclass(frozen=True)
class Node:
    """A layer at its place: its name, the names of what it reads, and the shape of its result.

    Attributes
    ----------
    name : str
        Unique in its graph; "/" stands between the names of nested parts: ``inception3a/branch2/conv1``.
    layer : Layer
        The same object in several nodes is one layer with one set of parameters.
    inputs : tuple of str
        Names of nodes, or "input" for the graph's input; more than one only where the layer is a `Join`.
    shape : tuple of int
        Shape of y, without N.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    shape: Shape


class Graph:
    """Nodes in topological order, from one input to one or more outputs.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of x, without N.
    nodes : iterable of Node
        In any order; each is on the way to an output.
    outputs : str, or several, or {name: str}
        Names of the nodes whose results are the graph's, perhaps under names of their own. The first are the scores.

    Raises
    ------
    ParameterError
        Duplicate or impossible names, inputs that no node makes, nodes that wait for each other or that lead nowhere.
    ShapeError, GeometryError
        A node cannot take its inputs, has another shape than it says, or shares a layer whose parameters do not fit.

    Examples
    --------
    >>> from foveal.layers import Affine, Convolution, MaxPool, ReLU
    >>> graph = Graph.sequence([Convolution(30, 5), ReLU(), MaxPool(2), Affine(10)], (1, 28, 28))
    >>> [(node.name, node.shape) for node in graph.nodes]
    [('conv1', (30, 24, 24)), ('relu1', (30, 24, 24)), ('pool1', (30, 12, 12)), ('affine1', (10,))]
    >>> graph.parameters()["affine1.weight"]
    (4320, 10)
    """

    def __init__(self, input_shape: Sequence[int], nodes: Iterable[Node], outputs: Outputs) -> None:
        self.input_shape = positive_shape(input_shape, "network input")
        given = list(nodes)
        checks.names(given)
        self.outputs = checks.outputs(outputs, given)
        self.nodes = checks.topological(given)
        checks.live(self.nodes, set(self.outputs.values()))
        self._by_name = {node.name: node for node in self.nodes}
        for name, shape in checks.shapes(self.nodes, self.input_shape).items():
            if name != INPUT and shape != tuple(self[name].shape):
                where, got = self[name].layer.title(name), str(tuple(self[name].shape))
                raise ShapeError(explain(where, expected=f"a result of shape {shape}", got=got))
        checks.shared(self)

    @classmethod
    def sequence(cls, layers: Iterable[Layer], input_shape: Sequence[int]) -> Graph:
        """Return the graph in which each layer reads the one before; nodes are called conv1, relu1, conv2...

        `Parallel` and `Residual` become their parts: ``parallel1/branch2/conv1``.

        Raises
        ------
        ParameterError, DTypeError, ShapeError, GeometryError
            No layers; something else than a layer; a layer that cannot take its input.
        """
        from foveal.graph.builder import GraphBuilder

        given = list(layers)
        if not given:
            raise ParameterError(explain("network", expected="at least one layer", got="none"))
        checks.layers(given)

        def build(shape: Shape) -> Graph:
            builder = GraphBuilder(shape)
            return builder.graph(builder.chain(given, builder.input))

        return hinted(build, positive_shape(input_shape, "network input"))

    @property
    def output(self) -> str:
        """Name of the first output's node."""
        return next(iter(self.outputs.values()))

    @property
    def output_shape(self) -> Shape:
        """Shape of the first output, without N."""
        return self[self.output].shape

    @functools.cached_property
    def scores(self) -> dict[str, str]:
        """For each output the node whose values are its scores: the one before a Softmax; this is left to the loss."""
        ends = {name: self[at] for name, at in self.outputs.items()}
        return {name: n.inputs[0] if isinstance(n.layer, Softmax) else n.name for name, n in ends.items()}

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Each layer object once, in the order in which the graph first runs it."""
        return tuple({id(node.layer): node.layer for node in self.nodes}.values())

    def __getitem__(self, name: str) -> Node:
        """Return the node called `name`."""
        if name not in self._by_name:
            fix = nearest(name, self._by_name)
            raise ParameterError(explain("network", expected="the name of a node", got=repr(name), fix=fix))
        return self._by_name[name]

    def shape(self, name: str) -> Shape:
        """Return the shape of what the node called `name` gives, or of "input"."""
        return self.input_shape if name == INPUT else self[name].shape

    def input_shapes(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of what the node called `name` reads."""
        return tuple(self.shape(i) for i in self[name].inputs)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """Return the nodes that read the result of `name`, a node or "input"."""
        self.shape(name)  # an unknown name is an error, not a node that nobody reads
        return tuple(node for node in self.nodes if name in node.inputs)

    def owners(self) -> tuple[Node, ...]:
        """Return the first node of each layer: parameters are called after it."""
        first: dict[int, Node] = {}
        for node in self.nodes:
            first.setdefault(id(node.layer), node)
        return tuple(first.values())

    def parameters(self) -> dict[str, Shape]:
        """Return {"conv1.weight": shape, ...}; a shared layer counts once, under its first node."""
        return {
            f"{node.name}.{name}": shape
            for node in self.owners()
            for name, shape in node.layer.parameter_shapes(self.input_shapes(node.name)[0]).items()
        }

    def buffers(self) -> dict[str, Shape]:
        """Return {"batchnorm1.running_mean": shape, ...}: what is kept without being learned."""
        return {
            f"{node.name}.{name}": shape
            for node in self.owners()
            for name, shape in node.layer.buffer_shapes(self.input_shapes(node.name)[0]).items()
        }

    def only(self, outputs: Iterable[str]) -> Graph:
        """Return the part of the graph that the outputs of these names need; layers and order are the same."""
        kept = {name: self.outputs[name] for name in outputs}
        needed = set(kept.values())
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return Graph(self.input_shape, [node for node in self.nodes if node.name in needed], kept)

    def run(self, ops: ModuleType, x: Array, p: Mapping[str, Array], seed: int | None = None) -> Run:
        """Compute every node with the operations of `ops`; see `foveal.graph.formula.run`."""
        from foveal.graph.formula import run

        return run(self, ops, x, p, seed)

    def config(self) -> dict[str, Any]:
        """Return what `from_config` needs, ready for JSON; shared layers stand once, nodes refer to them by number."""
        places = {id(layer): i for i, layer in enumerate(self.layers)}
        nodes = [{"name": n.name, "layer": places[id(n.layer)], "inputs": list(n.inputs)} for n in self.nodes]
        layers = [layer.config() for layer in self.layers]
        output = self.output if self.outputs == {self.output: self.output} else dict(self.outputs)
        return {"input_shape": list(self.input_shape), "layers": layers, "nodes": nodes, "output": output}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Graph:
        """Return the graph that `config` came from, with new layers.

        Raises
        ------
        FormatError
            A part is missing or of another kind.
        """
        try:
            layers = [Layer.from_config(layer) for layer in config["layers"]]
            stated = [Node(e["name"], layers[e["layer"]], tuple(e["inputs"]), ()) for e in config["nodes"]]
            checks.names(stated)
            ordered = checks.topological(stated)
            shapes = checks.shapes(ordered, tuple(config["input_shape"]))
            nodes = [replace(node, shape=shapes[node.name]) for node in ordered]
            return cls(config["input_shape"], nodes, config["output"])
        except FovealError:
            raise
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            expected, why = "input_shape, layers, nodes and output", f"{type(error).__name__} {error}"
            raise FormatError(explain("network config", expected=expected, got="something else", why=why)) from None

    def __repr__(self) -> str:
        before = [INPUT, *(node.name for node in self.nodes)]
        in_line = all(node.inputs == (name,) for node, name in zip(self.nodes, before, strict=False))
        ways = [n.name for n in self.nodes] if in_line else [f"{len(self.nodes)} nodes"]
        shapes = " and ".join(str(self[at].shape) for at in self.outputs.values())
        return f"Graph({' -> '.join([str(self.input_shape), *ways, shapes])})"
