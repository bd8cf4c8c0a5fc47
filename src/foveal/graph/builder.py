"""The builder of graphs: layer by layer, from the input to the outputs, with branches wherever one likes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from foveal.errors import ParameterError, explain, nearest
from foveal.graph import checks
from foveal.graph.checks import INPUT
from foveal.graph.fitting import hinted
from foveal.graph.graph import Graph, Node, Outputs
from foveal.layers.base import Layer
from foveal.layers.composite import Composite, Path, as_path, check_name
from foveal.layers.join import Add, Concat
from foveal.layers.shapes import Shape, positive_shape


class GraphBuilder:
    """Makes a `Graph` of any form. Results are called by the names of their nodes, which every call returns.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of x, without N.

    Examples
    --------
    >>> from foveal.layers import Affine, Convolution, GlobalAvgPool, ReLU
    >>> build = GraphBuilder((3, 32, 32))
    >>> stem = build([Convolution(16, 3, padding=1), ReLU()], build.input)
    >>> left = build(Convolution(16, 3, padding=1), stem, name="left")
    >>> both = build.concat([build.add([left, stem]), build(Convolution(8, 1), stem, name="right")])
    >>> graph = build.graph(build([GlobalAvgPool(), Affine(10)], both))
    >>> [node.name for node in graph.nodes]
    ['conv1', 'relu1', 'left', 'add1', 'right', 'concat1', 'pool1', 'affine1']
    >>> graph["concat1"].inputs, build.shape(both)
    (('add1', 'right'), (24, 32, 32))
    """

    def __init__(self, input_shape: Sequence[int]) -> None:
        self.input_shape = positive_shape(input_shape, "network input")
        self._nodes: dict[str, Node] = {}
        self._names: set[str] = set()  # of nodes, and what stands before the "/" in them
        self._scope = ""

    @property
    def input(self) -> str:
        """The name of the graph's input."""
        return INPUT

    @property
    def nodes(self) -> tuple[Node, ...]:
        """What there is so far."""
        return tuple(self._nodes.values())

    def shape(self, name: str) -> Shape:
        """Return the shape of the result called `name`, without N.

        Raises
        ------
        ParameterError
            There is none.
        """
        if name != INPUT and name not in self._nodes:
            expected, fix = "the name of a node or 'input'", nearest(str(name), [*self._nodes, INPUT])
            raise ParameterError(explain("builder", expected=expected, got=repr(name), fix=fix))
        return self.input_shape if name == INPUT else self._nodes[name].shape

    def __call__(self, layer: Path, *inputs: str, name: str | None = None) -> str:
        """Add a layer that reads `inputs`, and return the name of its result.

        Parameters
        ----------
        layer : Layer or list of Layer
            Layers of a list follow each other; an empty list hands its input on. A layer that was used before is
            shared: it keeps one set of parameters. Of `Parallel` and `Residual` the parts become nodes.
        *inputs : str
            Names of results; several for an `Add`, a `Concat` or another `Join`.
        name : str, optional
            Of the node; of a list, `Parallel` or `Residual` what stands before the "/" in the names of its nodes.
            Without it nodes are called after the kind of the layer: conv1, conv2...

        Raises
        ------
        ParameterError, DTypeError
            An unknown input, a name that is taken, something else than layers.
        ShapeError, GeometryError
            The layer cannot take its inputs.
        """
        kept = dict(self._nodes), set(self._names)

        def place(shape: Shape) -> str:
            return self._with_input(shape, *kept)._place(layer, inputs, name)

        try:
            return hinted(place, self.input_shape, "what is built so far")
        except BaseException:
            self._nodes, self._names = kept  # a refused call leaves nothing behind
            raise

    def add(self, inputs: Iterable[str], *, name: str | None = None) -> str:
        """Add the sum of results of one shape; see `foveal.layers.Add`."""
        return self(Add(), *inputs, name=name)

    def concat(self, inputs: Iterable[str], *, name: str | None = None) -> str:
        """Add the channels of results of one size, one after the other; see `foveal.layers.Concat`."""
        return self(Concat(), *inputs, name=name)

    def graph(self, outputs: Outputs) -> Graph:
        """Return the graph whose outputs are these results: one, several, or {name: result}; the first are the scores.

        Raises
        ------
        ParameterError
            An unknown output, or a node that leads to none.
        """
        return Graph(self.input_shape, self.nodes, outputs)

    def chain(self, layers: Iterable[Layer], x: str) -> str:
        """Add layers that follow each other, and return the name of the last result, or x if there are none."""
        for layer in layers:
            x = self._place(layer, (x,), None)
        return x

    def _place(self, layer: Path, inputs: tuple[str, ...], name: str | None) -> str:
        for source in inputs:
            self.shape(source)
        where = "builder" + (f", {name!r}" if name else "")
        if isinstance(layer, Layer) and not isinstance(layer, Composite):
            node = self._new_name(name, layer.kind)
            shape = checks.output_shape(node, layer, [(source, self.shape(source)) for source in inputs])
            self._nodes[node] = Node(node, layer, inputs, shape)
            return node
        if len(inputs) != 1:
            raise ParameterError(explain(where, expected="one input", got=str(len(inputs))))
        if not isinstance(layer, Composite) and name is None:
            return self.chain(as_path(layer, where), inputs[0])
        outside = self._scope
        try:
            if isinstance(layer, Composite):
                self._scope = self._new_name(name or layer.name, layer.kind) + "/"
                return layer.expand(self, inputs[0])
            self._scope = self._new_name(name, "") + "/"
            return self.chain(as_path(layer, where), inputs[0])
        finally:
            self._scope = outside

    def _new_name(self, name: str | None, kind: str) -> str:
        """Return the full name of a new node: the one that is asked for, or the next one of its kind."""
        if check_name(name, "builder") is None:
            names = (f"{self._scope}{kind}{i}" for i in itertools.count(1))
            full = next(n for n in names if n not in self._names)
        else:
            full = f"{self._scope}{name}"
            if full in self._names or full == INPUT:
                fix = "Give one of them another name."
                raise ParameterError(explain("network", expected="each node name once", got=f"{full!r} twice", fix=fix))
        self._names.add(full)
        return full

    def _with_input(self, shape: Shape, nodes: dict[str, Node], names: set[str]) -> GraphBuilder:
        """Return this builder, or what it would be now if it had been made for another input shape."""
        if shape == self.input_shape:
            return self
        other = GraphBuilder(shape)
        found = checks.shapes(nodes.values(), shape)
        other._nodes = {node.name: replace(node, shape=found[node.name]) for node in nodes.values()}
        other._names = set(names)
        return other
