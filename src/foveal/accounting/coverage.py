"""How often each cell of a map is read, and how often each cell of a result is written.

For one layer, `reads` counts the windows in which a cell lies: ``col2im(im2col(1))``. For a network it counts the ways
from a cell to the results; for a chain of layers that is what the count of the last layer becomes when it is handed
back from layer to layer, and where branches meet, the ways add up. `writes` is the opposite count: for each cell of the
result, the ways to it from any cell of the input. Both have the same sum. Channels are left aside.

What one sees in `reads`: columns that no window reaches because the stride does not divide; borders that are read less
than the middle; the grid that dilation leaves. In `writes`: the chessboard of a transposed convolution whose kernel the
stride does not divide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveal.accounting.windows import Axis, axes
from foveal.errors import DTypeError, ParameterError, ShapeError, explain
from foveal.graph import INPUT, Graph
from foveal.layers.base import Layer

Counts = NDArray[Any]
EXACT = 2**53  # up to here float64 holds every whole number


@dataclass(frozen=True, eq=False)
class Coverage:
    """How often cells are read and written; `coverage` makes it.

    Attributes
    ----------
    name : str
        What was looked at.
    reads : ndarray of shape (H, W), of the input
        int64, or float64 where a network has more than 2^53 ways.
    writes : ndarray of shape (P, Q), of the result
        A flat result is one cell for each axis.
    """

    name: str
    reads: Counts
    writes: Counts

    @property
    def unread(self) -> int:
        """Cells of the input that are never read."""
        return int((self.reads == 0).sum())

    @property
    def even(self) -> bool:
        """Whether every cell is read equally often."""
        return bool(np.ptp(self.reads) == 0)

    def __str__(self) -> str:
        shape = "x".join(map(str, self.reads.shape))
        read, written = (f"{counts.min():.6g} to {counts.max():.6g} times" for counts in (self.reads, self.writes))
        return f"{self.name}: {shape} cells, read {read}, {self.unread} never; result written {written}"


def coverage(
    what: Any,
    input_shape: tuple[int, ...] | None = None,
    *,
    node: str | None = None,
    position: tuple[int, ...] | str | None = None,
) -> Coverage:
    """Count how often each cell of a map is read by a layer, or by a network up to one of its nodes.

    Parameters
    ----------
    what : Layer, Network or Graph
        What reads.
    input_shape : tuple (C, *spatial)
        Of a layer's input; a network knows its own.
    node : str, optional
        Node of a network whose result is asked for; without it the first output.
    position : tuple of int, or "middle", optional
        Count the ways to this position of the result only: the inside of its receptive field.

    Returns
    -------
    Coverage

    Raises
    ------
    DTypeError
        `what` is something else.
    ShapeError
        A layer without an input shape, or an input without cells.
    ParameterError
        No such node or position; a layer on the way has no window that is known.

    Examples
    --------
    >>> from foveal.layers import Convolution, ConvTranspose, MaxPool
    >>> coverage(Convolution(1, 3, stride=2), (1, 6, 6)).reads  # the last row and column are never read
    array([[1, 1, 2, 1, 1, 0],
           [1, 1, 2, 1, 1, 0],
           [2, 2, 4, 2, 2, 0],
           [1, 1, 2, 1, 1, 0],
           [1, 1, 2, 1, 1, 0],
           [0, 0, 0, 0, 0, 0]])
    >>> coverage(ConvTranspose(1, (3,), stride=2), (1, 4)).writes  # a chessboard, on one axis
    array([1, 1, 2, 1, 2, 1, 2, 1, 1])
    >>> from foveal.graph import Graph
    >>> dilated = Graph.sequence([Convolution(1, (3,), dilation=2), Convolution(1, (3,), dilation=2)], (1, 11))
    >>> coverage(dilated, position="middle").reads  # a grid: no position depends on its neighbours
    array([0, 1, 0, 2, 0, 3, 0, 2, 0, 1, 0])
    """
    graph, name = _graph(what, input_shape), node or ""
    if len(graph.input_shape) == 1:
        expected = "an input with cells, such as (1, 28, 28)"
        raise ShapeError(explain("coverage", expected=expected, got=str(graph.input_shape)))
    end = graph.output if node is None else graph[node].name
    read = _read(graph)
    writes = _writes(graph, read)[end]
    title = f"{what!r} on {graph.input_shape}" if isinstance(what, Layer) else f"{type(what).__name__}, {name or end}"
    if position is not None:
        position = _position(position, writes.shape)
        title += f", position {position}"
    return Coverage(title, _exact(_reads(graph, read, end, position)), _exact(writes))


def reads_of(graph: Graph) -> Counts | None:
    """Return how often all outputs together read each cell of the input; None if there are none, or nobody knows."""
    if len(graph.input_shape) == 1:
        return None
    try:
        read = _read(graph)
    except ParameterError:
        return None
    counts: Counts = np.sum([_reads(graph, read, end) for end in set(graph.outputs.values())], axis=0)
    return counts


def _graph(what: Any, input_shape: tuple[int, ...] | None) -> Graph:
    if isinstance(what, Layer):
        if input_shape is None:
            fix = "Pass one: coverage(layer, (1, 28, 28))."
            raise ShapeError(explain("coverage of a layer", expected="an input_shape", got="None", fix=fix))
        return Graph.sequence([what], input_shape)
    graph = getattr(what, "graph", what)
    if not isinstance(graph, Graph):
        raise DTypeError(explain("coverage", expected="a layer, Network or Graph", got=repr(what)))
    return graph


def _read(graph: Graph) -> dict[str, tuple[Axis, ...]]:
    read = {}
    for node in graph.nodes:
        known = axes(node.layer, graph.input_shapes(node.name)[0], node.shape)
        if known is None:
            where, got, why = f"coverage, {node.name!r}", repr(node.layer), "nothing says which cells it reads"
            raise ParameterError(explain(where, expected="a layer with a window", got=got, why=why))
        read[node.name] = known
    return read


def _writes(graph: Graph, read: dict[str, tuple[Axis, ...]]) -> dict[str, Counts]:
    """Return for every node how many ways lead to each of its cells."""
    counts: dict[str, Counts] = {INPUT: np.ones(graph.input_shape[1:])}
    for node in graph.nodes:
        counts[node.name] = np.sum([gather(counts[name], read[node.name]) for name in node.inputs], axis=0)
    return counts


def _reads(
    graph: Graph, read: dict[str, tuple[Axis, ...]], end: str, position: tuple[int, ...] | None = None
) -> Counts:
    """Return how many ways lead from each cell of the input to the result of `end`, or to one position of it."""
    shape = graph.input_shape[1:]
    counts = {INPUT: np.zeros(shape)}
    counts[end] = np.full(graph.shape(end)[1:] or (1,) * len(shape), float(position is None))
    if position is not None:
        counts[end][position] = 1.0
    for node in reversed(graph.nodes):
        if node.name in counts:
            for name in node.inputs:
                back = scatter(counts[node.name], read[node.name])
                counts[name] = counts[name] + back if name in counts else back
    return counts[INPUT]


def _position(position: tuple[int, ...] | str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a position of a map of `shape`."""
    if position == "middle":
        return tuple(n // 2 for n in shape)
    given = tuple(position)
    inside = len(given) == len(shape) and all(
        isinstance(i, int) and 0 <= i < n for i, n in zip(given, shape, strict=True)
    )
    if not inside:
        expected = f"'middle', or a place in a map of {'x'.join(map(str, shape))}, counted from 0"
        raise ParameterError(explain("position", expected=expected, got=repr(position)))
    return given  # type: ignore[return-value]  # all of them are ints


def gather(counts: Counts, read: tuple[Axis, ...]) -> Counts:
    """Return for each output the sum over the cells that it reads: a convolution with ones."""
    for i, axis in enumerate(read):
        if not axis.in_place:
            cells, lines = axis.cells(), np.moveaxis(counts, i, 0)
            inside = (cells >= 0).reshape(*cells.shape, *(1,) * (counts.ndim - 1))
            counts = np.moveaxis((lines[np.maximum(cells, 0)] * inside).sum(axis=1), 0, i)
    return counts


def scatter(counts: Counts, read: tuple[Axis, ...]) -> Counts:
    """Return for each cell the sum over the outputs that read it: the adjoint of `gather`."""
    for i, axis in enumerate(read):
        if not axis.in_place:
            lines = np.moveaxis(counts, i, 0)
            back = np.zeros((axis.size, *lines.shape[1:]))
            for cells in axis.cells().T:  # one tap after the other: of one tap no two outputs read the same cell
                back[cells[cells >= 0]] += lines[cells >= 0]
            counts = np.moveaxis(back, 0, i)
    return counts


def _exact(counts: Counts) -> Counts:
    return counts.astype(np.int64) if counts.max(initial=0) < EXACT else counts
