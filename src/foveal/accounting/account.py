"""The account of a network: a row for every node that runs, every number with its formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from foveal._formula import Count, product
from foveal.accounting import columns as shown
from foveal.accounting import conventions, memory
from foveal.accounting.conventions import Convention
from foveal.accounting.coverage import reads_of
from foveal.accounting.field import Field
from foveal.accounting.operations import Passes, Work, work
from foveal.accounting.render import Rendered, Table
from foveal.accounting.rows import Row, Totals
from foveal.accounting.sizes import size_formula
from foveal.accounting.windows import Axis, axes
from foveal.errors import DTypeError, explain
from foveal.geometry import volume
from foveal.graph import INPUT, Graph, Node
from foveal.layers.base import Layer
from foveal.layers.learned import WithParameters
from foveal.layers.shapes import Shape


@dataclass(frozen=True)
class Account(Rendered):
    """What a network is and costs; `account` makes it. See `Rendered` for `to_text()`, `to_json()`...

    Attributes
    ----------
    name : str
    input_shape : tuple of int
        Without N.
    rows : tuple of Row
        In the order in which the nodes run.
    totals : Totals
    convention : Convention or None
        Another way to count operations, whose numbers stand beside the exact ones.
    plan : PlanMemory or None
        Predicted and measured memory of the network's plans, if it was asked for.
    """

    name: str
    input_shape: Shape
    rows: tuple[Row, ...]
    totals: Totals
    convention: Convention | None = None
    plan: memory.PlanMemory | None = None

    def __getitem__(self, name: str) -> Row:
        """Return the row of the node called `name`."""
        return next(row for row in self.rows if row.name == name)

    @property
    def gap(self) -> dict[str, int]:
        """What the convention counts, in parts whose sum is its number; "multiply-adds" are the exact ones."""
        parts: dict[str, int] = {}
        for row in self.rows if self.convention else ():
            for part, count in self.convention.parts(row).items():  # type: ignore[union-attr]  # no rows without one
                parts[part] = parts.get(part, 0) + count
        return {part: count for part, count in parts.items() if count}

    def table(self, columns: Sequence[str] | None = None, *, exact: bool = False) -> Table:
        """Return the table; see `Rendered`."""
        return shown.table(self, columns, exact)

    def as_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        return shown.as_dict(self)


class HasGraph(Protocol):
    """A network: what has a graph."""

    @property
    def graph(self) -> Graph:
        """Its layers, shapes and names."""


def graph_of(net: Any) -> Graph:
    """Return the graph of a network, or the graph itself.

    Raises
    ------
    DTypeError
        It is something else.
    """
    graph = getattr(net, "graph", net)
    if not isinstance(graph, Graph):
        fix = "Make one: foveal.Network(layers, input_shape=(3, 224, 224))."
        raise DTypeError(explain("account", expected="a Network or Graph", got=repr(net), fix=fix))
    return graph


def account(
    net: HasGraph | Graph, *, name: str = "", convention: str | None = None, batch: int | None = None
) -> Account:
    """Count everything about a network: shapes, parameters, operations, bytes, receptive fields.

    Parameters
    ----------
    net : Network or Graph
        What is counted.
    name : str, optional
        What tables call it; without it the name of its class.
    convention : {"torchinfo", "fvcore", "ptflops", "paper"}, optional
        Count operations as these do, too.
    batch : int, optional
        Make the plans of a Network for batches of so many, and measure the memory that they hold.

    Returns
    -------
    Account

    Raises
    ------
    DTypeError
        `net` is no network.
    ParameterError
        An unknown convention.

    Examples
    --------
    >>> from foveal.layers import Affine, Convolution, MaxPool, ReLU
    >>> net = Graph.sequence([Convolution(30, 5), ReLU(), MaxPool(2), Affine(10)], (1, 28, 28))
    >>> conv, relu, pool, affine = account(net).rows
    >>> conv.size, conv.weights.explained, conv.work.macs.forward.explained
    ('28 - 5 + 1 = 24', '5*5*1*30 = 750', '5*5*1*30*24*24 = 432,000')
    >>> pool.field[0].size, str(pool.field[0].jump), pool.field[0].start, affine.field[0].size
    (6, '2', 0, 28)
    >>> account(net).totals.parameters
    43990
    """
    graph = graph_of(net)
    way = None if convention is None else conventions.find(convention)
    owners = {id(node.layer): node.name for node in graph.owners()}
    learned, fields = _what_learns(graph), _fields(graph)
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    rows = tuple(
        _row(graph, node, owners[id(node.layer)], learned, readers[node.name], fields[node.name])
        for node in graph.nodes
    )
    made = Account(name or type(net).__name__, graph.input_shape, rows, _totals(graph, rows), way)
    return made if batch is None else replace(made, plan=memory.measure(net, made, batch))


def _row(
    graph: Graph, node: Node, owner: str, learned: dict[str, bool], readers: int, field: tuple[Field, ...] | None
) -> Row:
    layer, given = node.layer, graph.input_shapes(node.name)
    read = axes(layer, given[0], node.shape)
    counts = parameter_counts(layer, given[0])
    done = work(layer, given, node.shape)
    learns, needs_dx = learned[node.name], any(learned[name] for name in node.inputs)
    copies = max(0, readers - 1) * volume(node.shape) if learns else 0
    kept = memory.own_bytes(layer, node.shape, training=True)
    return Row(
        name=node.name,
        layer=layer,
        inputs=node.inputs,
        given=given,
        shape=node.shape,
        size=size_formula(layer, given, node.shape),
        parameters=counts,
        shares="" if owner == node.name or not counts else owner,
        work=Work(_needed(done.macs, needs_dx), _needed(done.other, needs_dx) + Passes(dx=copies)),
        field=field,
        unread=0 if read is None else unread(read),
        inference_bytes=memory.own_bytes(layer, node.shape, training=False),
        training_bytes=kept * (2 if learns else 1),
    )


def parameter_counts(layer: Layer, given: Shape) -> dict[str, Count]:
    """Return how many numbers each parameter holds, with the formula."""
    if isinstance(layer, WithParameters):
        return layer.parameter_counts(given)
    return {name: product(*shape) for name, shape in layer.parameter_shapes(given).items()}


def unread(read: tuple[Axis, ...]) -> int:
    """Return how many cells of a map no window reads.

    Examples
    --------
    >>> unread((Axis(5, 2, kernel=2, stride=2), Axis(5, 2, kernel=2, stride=2)))  # the last row and column
    9
    """
    seen = [np.unique(cells[cells >= 0]).size for cells in (axis.cells() for axis in read)]
    return volume(axis.size for axis in read) - volume(seen)


def _needed(passes: Passes, dx: bool) -> Passes:
    return passes if dx else Passes(passes.forward, 0, passes.dw)


def _what_learns(graph: Graph) -> dict[str, bool]:
    """Return for each node, and the input, whether it or anything before it learns: then its gradient is needed."""
    learns = {INPUT: False}
    for node in graph.nodes:
        own = bool(node.layer.parameter_shapes(graph.input_shapes(node.name)[0]))
        learns[node.name] = own or any(learns[name] for name in node.inputs)
    return learns


def _fields(graph: Graph) -> dict[str, tuple[Field, ...] | None]:
    """Return the receptive field of every node on each axis of the input."""
    fields: dict[str, tuple[Field, ...] | None] = {INPUT: tuple(map(Field.of_input, graph.input_shape[1:]))}
    for node in graph.nodes:
        read = axes(node.layer, graph.input_shapes(node.name)[0], node.shape)
        before = [fields[name] for name in node.inputs]
        known = [f for f in before if f is not None]
        if read is None or len(known) < len(before):
            fields[node.name] = None
            continue
        joined = tuple(Field.union(each) for each in zip(*known, strict=True))
        made = tuple(f.through(a) for f, a in zip(joined, read, strict=True)) if read else joined
        fields[node.name] = tuple(f.emptied() for f in made) if any(f.empty for f in made) else made
    return fields


def _totals(graph: Graph, rows: tuple[Row, ...]) -> Totals:
    macs, other = Passes(), Passes()
    for row in rows:
        macs, other = macs + row.work.macs, other + row.work.other
    training = memory.FLOAT * volume(graph.input_shape) + sum(row.training_bytes for row in rows)
    weights, biases = sum(row.weights for row in rows), sum(row.biases for row in rows)
    reads = reads_of(graph)
    unread = None if reads is None else int((reads == 0).sum())
    return Totals(weights, biases, Work(macs, other), memory.peak_bytes(graph), training, unread)
