"""What a graph holds its nodes to: names, order, shapes. Each refusal names the nodes and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foveal.errors import DTypeError, FovealError, ParameterError, ShapeError, explain, nearest
from foveal.layers.base import Layer
from foveal.layers.composite import Composite
from foveal.layers.join import Join
from foveal.layers.shapes import Shape

if TYPE_CHECKING:
    from foveal.graph.graph import Graph, Node

INPUT = "input"


def layers(given: Sequence[Any]) -> None:
    """Refuse what is no layer."""
    for position, layer in enumerate(given):
        if not isinstance(layer, Layer):
            fix = f"Write {layer.__name__}(...)." if isinstance(layer, type) else ""
            raise DTypeError(explain(f"network, layer {position}", expected="a layer", got=repr(layer), fix=fix))


def names(nodes: Sequence[Node]) -> None:
    """Refuse duplicate and impossible names, inputs that no node makes, and layers that are not single ones."""
    layers([node.layer for node in nodes])
    known: set[str] = set()
    for node in nodes:
        if not isinstance(node.name, str) or not node.name or node.name == INPUT or "." in node.name:
            expected = f"a node name without '.', other than {INPUT!r}"
            raise ParameterError(explain("network", expected=expected, got=repr(node.name)))
        if node.name in known:
            raise ParameterError(explain("network", expected="each node name once", got=f"{node.name!r} twice"))
        if isinstance(node.layer, Composite):
            fix = "Graph.sequence and GraphBuilder make nodes of its parts."
            raise ParameterError(explain(f"node {node.name!r}", expected="one layer", got=repr(node.layer), fix=fix))
        if isinstance(node.inputs, str):
            fix = f"Write ({node.inputs!r},)."
            raise DTypeError(
                explain(f"node {node.name!r}", expected="inputs in a tuple", got=repr(node.inputs), fix=fix)
            )
        known.add(node.name)
    for node in nodes:
        for name in node.inputs:
            if name != INPUT and name not in known:
                expected, fix = "inputs that are nodes", nearest(str(name), [*known, INPUT])
                raise ParameterError(explain(node.layer.title(node.name), expected=expected, got=repr(name), fix=fix))


def outputs(given: str | Iterable[str] | Mapping[str, str], nodes: Sequence[Node]) -> dict[str, str]:
    """Return {name: node} of the outputs; an output without a name of its own is called as its node."""
    known = [node.name for node in nodes]
    if isinstance(given, Mapping):
        named = dict(given)
    else:
        if not isinstance(given, Iterable):
            expected = "the name of a node, several, or {name: node}"
            raise DTypeError(explain("network outputs", expected=expected, got=repr(given)))
        listed = [given] if isinstance(given, str) else list(given)
        named = {name: name for name in listed}
        if len(named) < len(listed):
            raise ParameterError(explain("network outputs", expected="each output once", got=repr(listed)))
    if not named:
        raise ParameterError(explain("network outputs", expected="at least one output", got="none"))
    for name, at in named.items():
        if at not in known:
            fix = nearest(str(at), known) if known else "There are no nodes."
            raise ParameterError(explain("network output", expected="the name of a node", got=repr(at), fix=fix))
        if not isinstance(name, str) or not name:
            raise ParameterError(explain("network output", expected="a name", got=repr(name)))
    return named


def topological(nodes: list[Node]) -> tuple[Node, ...]:
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


def live(nodes: Sequence[Node], ends: set[str]) -> None:
    """Refuse nodes that lead to no output."""
    read = ends.union(*(node.inputs for node in nodes))
    loose = [node.name for node in nodes if node.name not in read]
    if loose:
        got = f"{', '.join(map(repr, loose))}, whose result nobody reads"
        fix = "Join it with the others, name it among the outputs, or leave it out."
        raise ParameterError(explain("network", expected="nodes that lead to an output", got=got, fix=fix))


def shapes(nodes: Iterable[Node], input_shape: Shape) -> dict[str, Shape]:
    """Return the shapes of all results by name, as the layers say; `nodes` are in topological order."""
    found = {INPUT: input_shape}
    for node in nodes:
        found[node.name] = output_shape(node.name, node.layer, [(name, found[name]) for name in node.inputs])
    return found


def output_shape(name: str, layer: Layer, inputs: Sequence[tuple[str, Shape]]) -> Shape:
    """Ask the layer; its errors begin with its title, which here gets the node's name and the input shape."""
    given = [shape for _, shape in inputs]
    if not isinstance(layer, Join) and len(inputs) != 1:
        fix = "Join them first: builder.concat([...]) or builder.add([...])." if inputs else ""
        raise ParameterError(explain(layer.title(name), expected="one input", got=str(len(inputs)), fix=fix))
    try:
        if isinstance(layer, Join):
            return layer.joined_shape(given, [source for source, _ in inputs])
        return layer.output_shape(given[0])
    except FovealError as error:
        where = layer.title(name) + ("" if isinstance(layer, Join) else f" on input {given[0]}")
        raise type(error)(where + str(error).removeprefix(layer.title())) from None


def shared(graph: Graph) -> None:
    """Refuse a layer whose parameters would have one shape here and another there."""
    owners = {id(owner.layer): owner for owner in graph.owners()}
    for node in graph.nodes:
        owner = owners[id(node.layer)]
        first = owner.layer.parameter_shapes(graph.input_shapes(owner.name)[0])
        here = node.layer.parameter_shapes(graph.input_shapes(node.name)[0])
        if here != first:
            expected = f"the parameters of {owner.name!r}, whose layer it shares: {first}"
            raise ShapeError(explain(node.layer.title(node.name), expected=expected, got=str(here)))


def output_weights(graph: Graph, given: Mapping[str, float]) -> dict[str, float]:
    """Return the weight of every output's loss; outputs that one set of labels cannot train together are refused."""
    for name, weight in given.items():
        where = f"output_weights[{name!r}]"
        if name not in graph.outputs:
            fix = nearest(str(name), graph.outputs)
            raise ParameterError(explain("output_weights", expected="names of outputs", got=repr(name), fix=fix))
        number = isinstance(weight, int | float | np.integer | np.floating) and not isinstance(weight, bool)
        if not (number and 0 <= weight < math.inf):
            raise ParameterError(explain(where, expected="a number of at least 0", got=repr(weight)))
    weights = {name: float(given.get(name, 1.0)) for name in graph.outputs}
    sizes = {name: math.prod(graph.shape(at)) for name, at in graph.scores.items()}
    first, *others = weights
    if not weights[first]:
        fix = "Name the output that is to be learned first in the graph."
        got = f"output_weights[{first!r}] = 0"
        raise ParameterError(explain("network", expected="a first output that is learned", got=got, fix=fix))
    for name in others:
        if weights[name] and sizes[name] != sizes[first]:
            fix = f"output_weights={{{name!r}: 0}} leaves it out of training."
            expected = f"{sizes[first]} classes, as the first output has"
            raise ShapeError(explain(f"output {name!r}", expected=expected, got=str(sizes[name]), fix=fix))
    return weights
