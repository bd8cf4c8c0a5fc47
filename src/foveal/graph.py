"""A network as a graph of layers: names, shapes, shared layers. Says what is computed, not how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from foveal.errors import DTypeError, FormatError, FovealError, ParameterError, ShapeError, explain, nearest
from foveal.layers.base import Layer
from foveal.layers.shapes import Shape, positive_shape

INPUT = "input"


@dataclass(frozen=True)
class Node:
    """A layer at its place: its name, the names of what it reads, and the shape of its result.

    Attributes
    ----------
    name : str
        Unique in its graph.
    layer : Layer
        The same object in several nodes is one layer with one set of parameters.
    inputs : tuple of str
        Names of nodes, or "input" for the graph's input.
    shape : tuple of int
        Shape of y, without N.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    shape: Shape


class Graph:
    """Nodes in topological order, from the input to one output.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of x, without N.
    nodes : iterable of Node
        In any order.
    output : str
        Name of the node whose result is the graph's.

    Raises
    ------
    ParameterError
        Duplicate or impossible names, inputs that no node makes, nodes that wait for each other.
    ShapeError, GeometryError
        A node cannot take its input, has another shape than it says, or shares a layer whose parameters do not fit.

    Examples
    --------
    >>> from foveal.layers import Affine, Convolution, MaxPool, ReLU
    >>> graph = Graph.sequence([Convolution(30, 5), ReLU(), MaxPool(2), Affine(10)], (1, 28, 28))
    >>> [(node.name, node.shape) for node in graph.nodes]
    [('conv1', (30, 24, 24)), ('relu1', (30, 24, 24)), ('pool1', (30, 12, 12)), ('affine1', (10,))]
    >>> graph.parameters()["affine1.weight"]
    (4320, 10)
    """

    def __init__(self, input_shape: Sequence[int], nodes: Iterable[Node], output: str) -> None:
        self.input_shape = positive_shape(input_shape, "network input")
        given = list(nodes)
        _check_names(given, output)
        self.nodes = _topological(given)
        self.output = output
        self._by_name = {node.name: node for node in self.nodes}
        shapes = {INPUT: self.input_shape}
        for node in self.nodes:
            shape = shapes[node.name] = _output_shape(node.name, node.layer, [shapes[name] for name in node.inputs])
            if shape != tuple(node.shape):
                where = node.layer.title(node.name)
                raise ShapeError(explain(where, expected=f"a result of shape {shape}", got=str(tuple(node.shape))))
        self._check_shared()

    @classmethod
    def sequence(cls, layers: Iterable[Layer], input_shape: Sequence[int]) -> Graph:
        """Return the graph in which each layer reads the one before; nodes are called conv1, relu1, conv2...

        Raises
        ------
        ParameterError, DTypeError, ShapeError, GeometryError
            No layers; something else than a layer; a layer that cannot take its input.
        """
        shape = positive_shape(input_shape, "network input")
        nodes: list[Node] = []
        counts: dict[str, int] = {}
        for position, layer in enumerate(layers):
            _check_layer(layer, position)
            counts[layer.kind] = counts.get(layer.kind, 0) + 1
            name = f"{layer.kind}{counts[layer.kind]}"
            shape = _output_shape(name, layer, [shape])
            nodes.append(Node(name, layer, (nodes[-1].name if nodes else INPUT,), shape))
        if not nodes:
            raise ParameterError(explain("network", expected="at least one layer", got="none"))
        return cls(input_shape, nodes, nodes[-1].name)

    @property
    def output_shape(self) -> Shape:
        """Shape of the graph's result, without N."""
        return self[self.output].shape

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

    def input_shapes(self, name: str) -> tuple[Shape, ...]:
        """Return the shapes of what the node called `name` reads."""
        return tuple(self.input_shape if i == INPUT else self[i].shape for i in self[name].inputs)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """Return the nodes that read the result of `name`, a node or "input"."""
        if name != INPUT:
            self[name]  # an unknown name is an error, not a node that nobody reads
        return tuple(node for node in self.nodes if name in node.inputs)

    def owners(self) -> tuple[Node, ...]:
        """Return the first node of each layer: parameters are called after it."""
        return tuple({id(node.layer): node for node in reversed(self.nodes)}.values())[::-1]

    def parameters(self) -> dict[str, Shape]:
        """Return {"conv1.weight": shape, ...}; a shared layer counts once, under its first node."""
        return {
            f"{node.name}.{name}": shape
            for node in self.owners()
            for name, shape in node.layer.parameter_shapes(self.input_shapes(node.name)[0]).items()
        }

    def config(self) -> dict[str, Any]:
        """Return what `from_config` needs, ready for JSON; shared layers stand once, nodes refer to them by number."""
        places = {id(layer): i for i, layer in enumerate(self.layers)}
        nodes = [{"name": n.name, "layer": places[id(n.layer)], "inputs": list(n.inputs)} for n in self.nodes]
        layers = [layer.config() for layer in self.layers]
        return {"input_shape": list(self.input_shape), "layers": layers, "nodes": nodes, "output": self.output}

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
            shapes = {INPUT: tuple(config["input_shape"])}
            nodes = []
            for entry in config["nodes"]:  # config writes them in topological order
                name, layer, inputs = entry["name"], layers[entry["layer"]], tuple(entry["inputs"])
                shapes[name] = _output_shape(name, layer, [shapes[i] for i in inputs])
                nodes.append(Node(name, layer, inputs, shapes[name]))
            return cls(config["input_shape"], nodes, config["output"])
        except FovealError:
            raise
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            expected, why = "input_shape, layers, nodes and output", f"{type(error).__name__} {error}"
            raise FormatError(explain("network config", expected=expected, got="something else", why=why)) from None

    def __repr__(self) -> str:
        return f"Graph({self.input_shape} -> {' -> '.join(n.name for n in self.nodes)} -> {self.output_shape})"

    def _check_shared(self) -> None:
        owners = {id(owner.layer): owner for owner in self.owners()}
        for node in self.nodes:
            owner = owners[id(node.layer)]
            first = owner.layer.parameter_shapes(self.input_shapes(owner.name)[0])
            here = node.layer.parameter_shapes(self.input_shapes(node.name)[0])
            if here != first:
                expected = f"the parameters of {owner.name!r}, whose layer it shares: {first}"
                raise ShapeError(explain(node.layer.title(node.name), expected=expected, got=str(here)))


def _output_shape(name: str, layer: Layer, inputs: list[Shape]) -> Shape:
    """Ask the layer; its errors begin with its title, which here gets the node's name and the input shape."""
    if len(inputs) != 1:
        why = "layers that join maps are not there yet"
        raise ParameterError(explain(layer.title(name), expected="one input", got=str(len(inputs)), why=why))
    try:
        return layer.output_shape(inputs[0])
    except FovealError as error:
        message = str(error).removeprefix(layer.title())
        raise type(error)(f"{layer.title(name)} on input {inputs[0]}{message}") from None


def _check_layer(layer: Any, position: int) -> None:
    if not isinstance(layer, Layer):
        fix = f"Write {layer.__name__}(...)." if isinstance(layer, type) else ""
        raise DTypeError(explain(f"network, layer {position}", expected="a layer", got=repr(layer), fix=fix))


def _check_names(nodes: Sequence[Node], output: str) -> None:
    names: dict[str, Node] = {}
    for position, node in enumerate(nodes):
        _check_layer(node.layer, position)
        if not node.name or node.name == INPUT or "." in node.name:
            expected = f"a node name without '.', other than {INPUT!r}"
            raise ParameterError(explain("network", expected=expected, got=repr(node.name)))
        if node.name in names:
            raise ParameterError(explain("network", expected="each node name once", got=f"{node.name!r} twice"))
        names[node.name] = node
    if output not in names:
        fix = nearest(str(output), names) if names else "There are no nodes."
        raise ParameterError(explain("network output", expected="the name of a node", got=repr(output), fix=fix))
    for node in nodes:
        for name in node.inputs:
            if name != INPUT and name not in names:
                expected, fix = "inputs that are nodes", nearest(name, [*names, INPUT])
                raise ParameterError(explain(node.layer.title(node.name), expected=expected, got=repr(name), fix=fix))


def _topological(nodes: list[Node]) -> tuple[Node, ...]:
    """Order nodes so that each stands after what it reads; nodes that could stand in any order keep theirs."""
    done, order, waiting = {INPUT}, [], nodes
    while waiting:
        ready = next((node for node in waiting if done.issuperset(node.inputs)), None)
        if ready is None:
            got = ", ".join(f"{node.name} <- {' + '.join(node.inputs)}" for node in waiting)
            why = "these nodes wait for each other"
            raise ParameterError(explain("network", expected="a graph without cycles", got=got, why=why))
        order.append(ready)
        done.add(ready.name)
        waiting = [node for node in waiting if node is not ready]
    return tuple(order)
